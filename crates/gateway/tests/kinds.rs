//! The table of docs/channels.md: every kind of provider, as the code has it.

use std::fmt::Write;

use gateway::provider::PROVIDERS;

const DOCUMENT: &str = include_str!("../../../docs/channels.md");
const BEGIN: &str = "<!-- the table begins -->\n";
const END: &str = "<!-- the table ends -->\n";

#[test]
fn the_document_lists_every_kind() {
    let mut table =
        "| kind | what | base URL | credential | doors of its own |\n|---|---|---|---|---|\n".to_owned();
    for provider in PROVIDERS {
        let (kind, name, credential) = (provider.kind, provider.name, provider.credential());
        let base_url = provider.base_url.map_or_else(|| "yours".to_owned(), |url| format!("`{url}`"));
        let doors: Vec<String> = provider.doors().map(|door| format!("`{}`", door.path())).collect();
        writeln!(table, "| `{kind}` | {name} | {base_url} | {credential} | {} |", doors.join(" ")).unwrap();
    }
    let (before, rest) = DOCUMENT.split_once(BEGIN).unwrap();
    let (documented, after) = rest.split_once(END).unwrap();
    if documented != table {
        let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/channels.md");
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
        panic!("docs/channels.md does not list the kinds as they are; what it should be is in {path}");
    }
}
