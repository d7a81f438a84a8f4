/**
 * The files that the user has open in tabs, with their problems, for a prompt to tell.
 *
 * Easily got wrong: what has no file on disk, such as a diff's other side or an untitled text, is nobody's file.
 */
import { DiagnosticSeverity, languages, type TabGroup, TabInputNotebook, TabInputText, type Uri, window } from "vscode";
import type { OpenFile } from "../../server/src/protocol/methods.ts";

/** Tabs that are looked at. */
const maxTabs = 20;

/** The open files, the one in front first, then those in front of other editor groups. */
export function openFiles(): readonly OpenFile[] {
  const { all, activeTabGroup } = window.tabGroups;
  const groups = [activeTabGroup, ...all.filter((group) => group !== activeTabGroup)];
  const inFront = groups.flatMap(({ activeTab }) => (activeTab ? [activeTab] : []));
  const tabs = [...inFront, ...groups.flatMap(({ tabs: some }: TabGroup) => some)];
  const uris = tabs.flatMap(({ input }) =>
    input instanceof TabInputText || input instanceof TabInputNotebook ? [input.uri] : [],
  );
  const front = activeTabGroup.activeTab?.input;
  const active = front instanceof TabInputText || front instanceof TabInputNotebook ? front.uri.toString() : undefined;
  const files = new Map<string, Uri>();
  for (const uri of uris) if (uri.scheme === "file" && files.size < maxTabs) files.set(uri.toString(), uri);
  return [...files].map(([key, uri]) => {
    const severities = languages.getDiagnostics(uri).map(({ severity }) => severity);
    const count = (kind: DiagnosticSeverity) => severities.filter((severity) => severity === kind).length;
    return {
      uri: key,
      isActive: key === active,
      errors: count(DiagnosticSeverity.Error),
      warnings: count(DiagnosticSeverity.Warning),
    };
  });
}
