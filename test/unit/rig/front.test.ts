/**
 * The loopback front of the browser build: it passes requests and sockets on, and guards the half key for secrets.
 */
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Front, startFront } from "../../rig/front.ts";

const secretKey = Buffer.alloc(32, 7);
let folder: string;
let behind: http.Server;
let front: Front;

beforeEach(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "hermes-front-"));
  behind = http.createServer((request, response) => {
    response.setHeader("set-cookie", ["a=1", "b=2"]);
    response.writeHead(request.url === "/gone" ? 404 : 200);
    response.write(`${request.method} ${request.url} host=${request.headers.host} `);
    request.pipe(response);
  });
  behind.on("upgrade", (request, socket, head) => {
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nupgrade: ${request.headers.upgrade}\r\nconnection: upgrade\r\n\r\n`,
    );
    socket.write(head);
    socket.pipe(socket);
  });
  const socketPath = path.join(folder, "s");
  await new Promise<void>((resolve) => behind.listen(socketPath, resolve));
  front = await startFront({ socketPath, port: 0, token: "right", secretKey });
});

afterEach(async () => {
  front.close();
  behind.closeAllConnections();
  await new Promise((resolve) => behind.close(resolve));
  fs.rmSync(folder, { recursive: true });
});

const url = (at: string) => `http://127.0.0.1:${front.port}${at}`;

describe("front", () => {
  test("passes a request on with its host and body, and the answer back with its headers", async () => {
    const answer = await fetch(url("/x?y=1"), { method: "POST", body: "hello" });
    expect(await answer.text()).toBe(`POST /x?y=1 host=127.0.0.1:${front.port} hello`);
    expect(answer.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect((await fetch(url("/gone"))).status).toBe(404);
  });

  test("gives the half key only to a browser that has the connection token", async () => {
    const ask = (cookie: string) => fetch(url("/mint-key"), { method: "POST", headers: { cookie } });
    expect((await ask("")).status).toBe(403);
    expect((await ask("vscode-tkn=wrong")).status).toBe(403);
    expect((await ask("vscode-tkn=%")).status).toBe(403);
    const answer = await ask("other=1; vscode-tkn=right");
    expect(answer.status).toBe(200);
    expect(Buffer.from(await answer.arrayBuffer()).equals(secretKey)).toBe(true);
  });

  test("joins an upgraded connection both ways", async () => {
    const socket = net.connect(front.port, "127.0.0.1");
    socket.write("GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nping");
    let got = "";
    for await (const chunk of socket) {
      got += String(chunk);
      if (got.endsWith("ping")) break;
    }
    expect(got).toMatch(/^HTTP\/1\.1 101 [\s\S]*upgrade: echo[\s\S]*\r\n\r\nping$/);
  });

  test("says that the server is gone", async () => {
    behind.closeAllConnections();
    await new Promise((resolve) => behind.close(resolve));
    const answer = await fetch(url("/"));
    expect([answer.status, await answer.text()]).toEqual([502, "VS Code's server is not running."]);
    await new Promise<void>((resolve) => behind.listen(path.join(folder, "s"), resolve));
  });

  test("rejects when the port is taken", async () => {
    const second = startFront({ socketPath: path.join(folder, "s"), port: front.port, token: "right", secretKey });
    await expect(second).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});
