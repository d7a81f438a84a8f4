/**
 * The loopback address of the browser build: passes everything on to VS Code's own server, and answers the one request
 * that server does not know, for the half key with which the browser encrypts stored secrets.
 *
 * Not here: authentication, which is VS Code's connection token. Easily got wrong: without that half key VS Code keeps
 * secrets in memory only, so an API key would be lost with every reload of the page.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import http from "node:http";
import net from "node:net";
import type { Duplex } from "node:stream";

/** What the front needs. */
export interface FrontOptions {
  /** The socket on which VS Code's server listens. */
  readonly socketPath: string;
  /** The port on 127.0.0.1; 0 picks a free one. */
  readonly port: number;
  /** The connection token that VS Code's server was given. */
  readonly token: string;
  /** The 32 bytes that the browser asks for. */
  readonly secretKey: Buffer;
}

/** A listening front. */
export interface Front {
  readonly port: number;
  /** Closes the port and every connection. */
  readonly close: () => void;
}

/** Listens on 127.0.0.1; rejects with the system's error (`EADDRINUSE`) when the port is taken. */
export async function startFront(options: FrontOptions): Promise<Front> {
  const { socketPath, token, secretKey } = options;
  const sockets = new Set<Duplex>();
  const server = http.createServer((request, response) => {
    if (request.method === "POST" && request.url?.split("?")[0] === "/mint-key") {
      const known = hasToken(request.headers.cookie, token);
      response.writeHead(known ? 200 : 403, {
        "content-type": "application/octet-stream",
        "cache-control": "no-store",
      });
      response.end(known ? secretKey : undefined);
      return;
    }
    const onward = http.request(
      { socketPath, method: request.method, path: request.url, headers: request.headers, setHost: false },
      (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.rawHeaders);
        answer.pipe(response);
      },
    );
    onward.on("error", () =>
      response.headersSent ? response.destroy() : response.writeHead(502).end("VS Code's server is not running."),
    );
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  });
  server.on("upgrade", (request, client, head) => {
    const onward = net.connect(socketPath, () => {
      const lines = [`${request.method} ${request.url} HTTP/1.1`];
      for (let i = 0; i + 1 < request.rawHeaders.length; i += 2)
        lines.push(`${request.rawHeaders[i]}: ${request.rawHeaders[i + 1]}`);
      onward.write(`${lines.join("\r\n")}\r\n\r\n`);
      onward.write(head);
      client.pipe(onward).pipe(client);
    });
    for (const [end, other] of [
      [client, onward],
      [onward, client],
    ] as const) {
      end.on("error", () => other.destroy());
      end.on("close", () => other.destroy());
    }
  });
  server.on("connection", (socket) => {
    socket.setNoDelay(true);
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The port of the editor could not be read.");
  return {
    port: address.port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function hasToken(cookie: string | undefined, token: string): boolean {
  const given = /(?:^|;\s*)vscode-tkn=([^;]*)/.exec(cookie ?? "")?.[1] ?? "";
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(given), digest(token));
}
