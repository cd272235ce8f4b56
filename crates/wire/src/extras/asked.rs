//! What a request asks for beside tokens.

use model::price::{Term, Terms, Tool, ToolCalls};

use super::{Known, Tier};
use crate::{
    json::{Malformed, Walk},
    request::{
        Format,
        member::{Member, Members},
        members::Text,
    },
};

/// The most calls of a tool where the request says nothing; where the dialect has a word for it, it is written there.
const CALLS: u64 = 10;
/// Sources that one vendor's search reads where the request says nothing.
const SOURCES: u64 = 20;

/// Something that is charged beside tokens, and how a request says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpriced {
    /// The member.
    pub param: &'static str,
    /// What it asks for.
    pub what: String,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The most calls of each tool.
    pub tools: ToolCalls,
    /// Calls that are made whatever the answer says of them: some answers name none.
    pub implied: ToolCalls,
    /// The terms of service.
    pub terms: Terms,
    /// What nobody here knows.
    pub unknown: Option<Unpriced>,
    named: Vec<(Extra, Unpriced)>,
    /// Where a limit of calls is to be written: what stands from here to there is replaced.
    pub(crate) limits: Vec<((usize, usize), String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extra {
    Tool(Tool),
    Term(Term),
}

impl Asked {
    /// Reads it off the members of a body.
    pub(crate) fn read(format: Format, members: &Members<'_>, text: Text<'_>) -> Self {
        let mut asked = Self::default();
        // What cannot be followed was refused before.
        if asked.members(format, members, text).is_err() {
            asked.unknown = Some(Unpriced { param: "tools", what: "what cannot be read".to_owned() });
        }
        asked
    }

    /// Whether a tool brings what it finds into the input.
    #[must_use]
    pub fn reads_further(&self) -> bool {
        !self.tools.is_empty()
    }

    /// The first thing asked for that has no price, by what is priced.
    #[must_use]
    pub fn unpriced(&self, tool: impl Fn(Tool) -> bool, term: impl Fn(Term) -> bool) -> Option<&Unpriced> {
        let lacks = |extra: Extra| match extra {
            Extra::Tool(asked) => !tool(asked),
            Extra::Term(asked) => !term(asked),
        };
        let named = self.named.iter().find(|(extra, _)| lacks(*extra)).map(|(_, named)| named);
        self.unknown.as_ref().or(named)
    }

    fn members(&mut self, format: Format, members: &Members<'_>, text: Text<'_>) -> Result<(), Malformed> {
        let body = text.whole.as_bytes();
        let value = |member| members.of(member).map(|value| value.get().as_bytes());
        let said = |member| value(member).filter(|value| *value != b"null");
        if let Some(tier) = said(Member::ServiceTier) {
            self.tier("service_tier", tier);
        }
        match format {
            Format::Google => {
                if let Some(tier) = said(Member::GoogleServiceTier) {
                    self.tier("service_tier", tier);
                }
                return value(Member::Tools).map_or(Ok(()), |tools| self.of_google(tools));
            }
            Format::Messages => {
                if let Some(speed) = said(Member::Speed) {
                    self.tier("speed", speed);
                }
                if let Some(geography) = said(Member::Geography) {
                    self.geography(geography);
                }
            }
            Format::Chat => self.searches(value)?,
            Format::Responses => {}
            Format::Completions | Format::Plain => return Ok(()),
        }
        let Some(tools) = value(Member::Tools).filter(|tools| tools.starts_with(b"[")) else { return Ok(()) };
        let calls = value(Member::MaxToolCalls).filter(|_| format == Format::Responses);
        let most = calls.and_then(whole);
        self.typed(format, body, tools, most)?;
        if format == Format::Responses && most.is_none() && !self.tools.is_empty() {
            let (place, text) = match calls {
                Some(null) => (place(body, null), CALLS.to_string()),
                None => (text.front(), format!("\"max_tool_calls\":{CALLS},")),
            };
            self.limits.push((place, text));
        }
        Ok(())
    }

    /// What some vendors of chat completions take as a wish to search.
    fn searches<'a>(&mut self, value: impl Fn(Member) -> Option<&'a [u8]>) -> Result<(), Malformed> {
        if value(Member::WebSearch).is_some_and(|value| value != b"null") {
            self.tool(Tool::WebSearch, 1, "web_search_options", "web_search");
            self.implied.set(Tool::WebSearch, 1);
        }
        if value(Member::EnableSearch) == Some(b"true") {
            self.tool(Tool::WebSearch, 1, "enable_search", "web_search");
        }
        if let Some(search) = value(Member::Search).filter(|value| *value != b"null") {
            self.search(search);
        }
        match value(Member::Plugins).filter(|plugins| plugins.starts_with(b"[")) {
            Some(plugins) => self.plugins(plugins),
            None => Ok(()),
        }
    }

    /// Tools that say their type.
    fn typed(
        &mut self,
        format: Format,
        body: &[u8],
        tools: &[u8],
        most: Option<u64>,
    ) -> Result<(), Malformed> {
        let param = "tools";
        Walk::new(tools).array(|walk| {
            let item = walk.value()?;
            if !item.starts_with(b"{") {
                return Ok(());
            }
            let (mut kind, mut uses, mut first) = (None, None, None);
            Walk::new(item).object(|name, walk| {
                let value = walk.value()?;
                match name {
                    b"type" => kind = serde_json::from_slice::<String>(value).ok(),
                    b"max_uses" => uses = Some(value),
                    _ => {}
                }
                first.get_or_insert_with(|| String::from_utf8_lossy(name).into_owned());
                Ok(())
            })?;
            // Without a type it is the caller's own, but for some who name it by its only member.
            let kind = match (kind, format) {
                (Some(kind), _) => kind,
                (None, Format::Chat) => snake(&first.unwrap_or_default()),
                (None, _) => return Ok(()),
            };
            let Known::Priced(tool) = Known::of(&kind) else { return Ok(()) };
            let own = uses.and_then(whole);
            self.tool(tool, own.or(most).unwrap_or(CALLS), param, &kind);
            if format == Format::Messages && own.is_none() {
                self.limits.push(match uses {
                    Some(null) => (place(body, null), CALLS.to_string()),
                    None => {
                        let at = place(body, item).0 + 1;
                        ((at, at), format!("\"max_uses\":{CALLS},"))
                    }
                });
            }
            Ok(())
        })
    }

    /// Google's tools, each the name of a member. What runs code is charged by its tokens.
    fn of_google(&mut self, tools: &[u8]) -> Result<(), Malformed> {
        let mut each = |walk: &mut Walk<'_>| {
            if !walk.is_object() {
                return walk.value().map(drop);
            }
            walk.object(|name, walk| {
                walk.value()?;
                let name = snake(&String::from_utf8_lossy(name));
                match name.as_str() {
                    "function_declarations" | "code_execution" | "computer_use" | "mcp_servers" => {}
                    "google_search" | "google_search_retrieval" | "enterprise_web_search" => {
                        self.tool(Tool::WebSearch, CALLS, "tools", &name);
                        self.tools.raise(Tool::Grounding, 1);
                    }
                    name => match Known::of(name) {
                        Known::Free => {}
                        Known::Priced(tool @ Tool::Maps) => self.tool(tool, 1, "tools", name),
                        Known::Priced(tool) => self.tool(tool, CALLS, "tools", name),
                    },
                }
                Ok(())
            })
        };
        let mut walk = Walk::new(tools);
        // One tool may stand where a list of them does.
        if walk.is_array() { walk.array(each) } else { each(&mut walk) }
    }

    fn tool(&mut self, tool: Tool, calls: u64, param: &'static str, what: &str) {
        self.tools.set(tool, self.tools.of(tool).saturating_add(calls));
        self.named.push((Extra::Tool(tool), Unpriced { param, what: short(what) }));
    }

    fn tier(&mut self, param: &'static str, value: &[u8]) {
        let word = serde_json::from_slice::<String>(value).unwrap_or_else(|_| "no text".to_owned());
        let named = Unpriced { param, what: short(&word) };
        match Tier::of(&word) {
            Tier::Usual | Tier::Undecided => {}
            Tier::Of(term) => {
                self.terms = self.terms.with(term);
                self.named.push((Extra::Term(term), named));
            }
            Tier::Unknown => self.unknown = Some(named),
        }
    }

    fn geography(&mut self, value: &[u8]) {
        let word = serde_json::from_slice::<String>(value).unwrap_or_default();
        let named = Unpriced { param: "inference_geo", what: short(&word) };
        match word.as_str() {
            "global" => {}
            "us" => {
                self.terms = self.terms.with(Term::Us);
                self.named.push((Extra::Term(Term::Us), named));
            }
            _ => self.unknown = Some(named),
        }
    }

    fn search(&mut self, value: &[u8]) {
        let said: serde_json::Value = serde_json::from_slice(value).unwrap_or_default();
        if crate::look::text(&said, "mode") != "off" {
            let most = crate::look::whole(&said, "max_search_results").unwrap_or(SOURCES);
            self.tool(Tool::WebSearch, most, "search_parameters", "web_search");
        }
    }

    fn plugins(&mut self, value: &[u8]) -> Result<(), Malformed> {
        Walk::new(value).array(|walk| {
            let plugin: serde_json::Value = serde_json::from_slice(walk.value()?).unwrap_or_default();
            let name = crate::look::text(&plugin, "id");
            match name {
                "response-healing" => {}
                "web" => self.tool(Tool::WebSearch, CALLS, "plugins", name),
                _ => self.tool(Tool::Other, CALLS, "plugins", name),
            }
            Ok(())
        })
    }
}

/// Where a part of a body stands in it.
fn place(body: &[u8], part: &[u8]) -> (usize, usize) {
    let start = (part.as_ptr() as usize).wrapping_sub(body.as_ptr() as usize);
    (start, start + part.len())
}

fn whole(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// `camelCase` in `snake_case`: Google's members may be written either way.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

fn short(word: &str) -> String {
    word.chars().take(64).collect()
}

#[cfg(test)]
mod tests;
