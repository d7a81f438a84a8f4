/** Just enough of Node's types for the tests, so that an editor shows them without anything installed. */
declare module "node:test" {
  export function describe(name: string, body: () => void): void;
  export function test(name: string, body: () => void | Promise<void>): void;
}

declare module "node:assert/strict" {
  export function equal(actual: unknown, expected: unknown, message?: string): void;
  export function throws(body: () => unknown, expected?: RegExp | object): void;
}
