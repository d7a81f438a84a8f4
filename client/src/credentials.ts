/**
 * Keeps API keys in VS Code's secret storage and asks the user for them.
 *
 * Not here: keys from the environment, which the host reads, and using keys. Easily got wrong: a key is never logged, put
 * into a setting or shown; only its name leaves this file, and its value goes to the host alone.
 */
import { type Disposable, type SecretStorage, window } from "vscode";
import type { InitializationOptions } from "../../server/src/protocol/methods.ts";
import type { CredentialName } from "../../server/src/protocol/types.ts";

/** A key that the user has entered, or taken back where there is no value. */
export interface EnteredCredential {
  readonly name: CredentialName;
  readonly value?: string;
}

const vendors: readonly { readonly name: CredentialName; readonly label: string; readonly hint: string }[] = [
  { name: "anthropic", label: "Anthropic", hint: "Create one at https://console.anthropic.com/settings/keys" },
  { name: "openai", label: "OpenAI", hint: "Create one at https://platform.openai.com/api-keys" },
];

/** The keys of this user. */
export class Credentials {
  readonly #secrets: SecretStorage;

  constructor(secrets: SecretStorage) {
    this.#secrets = secrets;
  }

  /** All keys that are stored. */
  async read(): Promise<InitializationOptions["credentials"]> {
    const values = await Promise.all(vendors.map(({ name }) => this.#secrets.get(keyOf(name))));
    return Object.fromEntries(vendors.flatMap(({ name }, index) => (values[index] ? [[name, values[index]]] : [])));
  }

  /** Asks for a key and stores it. Answers `undefined` when the user thinks better of it. */
  async ask(wanted: CredentialName | undefined): Promise<EnteredCredential | undefined> {
    const choice = wanted === undefined ? await this.#pick() : { name: wanted, remove: false };
    if (!choice) return undefined;
    const { name } = choice;
    if (choice.remove) {
      await this.#secrets.delete(keyOf(name));
      return { name };
    }
    const value = await askForKey(name);
    if (value === undefined) return undefined;
    await this.#secrets.store(keyOf(name), value);
    return { name, value };
  }

  /** Calls `run` after a key was changed, in this window or another one. */
  onDidChange(run: (change: EnteredCredential) => void): Disposable {
    return this.#secrets.onDidChange(async ({ key }) => {
      const vendor = vendors.find(({ name }) => keyOf(name) === key);
      if (!vendor) return;
      const value = await this.#secrets.get(key);
      run({ name: vendor.name, ...(value ? { value } : {}) });
    });
  }

  async #pick(): Promise<{ readonly name: CredentialName; readonly remove: boolean } | undefined> {
    const stored = await this.read();
    const items = vendors.flatMap(({ name, label }) => [
      {
        label: `$(key) ${label}`,
        description: stored[name] ? "a key is stored; enter another one" : "",
        name,
        remove: false,
      },
      ...(stored[name] ? [{ label: `$(trash) Remove the ${label} key`, description: "", name, remove: true }] : []),
    ]);
    return window.showQuickPick(items, { title: "Hermes: Set API Key", placeHolder: "Whose key is it?" });
  }
}

async function askForKey(name: CredentialName): Promise<string | undefined> {
  const vendor = vendors.find((candidate) => candidate.name === name);
  const value = await window.showInputBox({
    title: `Hermes: ${vendor?.label ?? name} API Key`,
    prompt: `It is kept in VS Code's secret storage and sent to ${vendor?.label ?? name} only. ${vendor?.hint ?? ""}`,
    placeHolder: "Paste the key",
    password: true,
    ignoreFocusOut: true,
    validateInput: (text) => {
      const key = text.trim();
      if (key === "") return "Paste a key, or press Escape.";
      return /\s/.test(key) ? "A key has no spaces or line breaks in it. Paste it again." : undefined;
    },
  });
  return value?.trim();
}

function keyOf(name: CredentialName): string {
  return `hermes.apiKey.${name}`;
}
