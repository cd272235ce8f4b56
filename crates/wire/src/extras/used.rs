//! What an answer used beside tokens, as it says it itself.

use std::{collections::HashSet, sync::LazyLock};

use memchr::memmem::Finder;
use model::price::{Term, Terms, Tool, ToolCalls};
use serde_json::Value;

use super::{Known, Tier};
use crate::{
    dialect::Dialect,
    json::{Malformed, Walk},
    look,
};

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// How often each tool was.
    pub tools: ToolCalls,
    /// The terms under which the answer was made.
    pub terms: Terms,
}

/// The tier that a header names; Google says it there.
#[must_use]
pub fn of_header(word: &str) -> Terms {
    match Tier::of(word) {
        Tier::Of(term) => Terms::NONE.with(term),
        Tier::Usual | Tier::Undecided | Tier::Unknown => Terms::NONE,
    }
}

/// The most queries and containers of one answer that are told apart.
const MOST_TOLD_APART: usize = 4096;

/// Words without which a piece says nothing of what is read here. They are made ready once: that takes longer than to look
/// through most pieces.
fn hints(dialect: Dialect) -> &'static [Finder<'static>] {
    type Finders<const N: usize> = LazyLock<[Finder<'static>; N]>;
    static CHAT: Finders<3> =
        LazyLock::new(|| ["\"service_tier\"", "\"server_tool_use\"", "\"num_s"].map(Finder::new));
    static RESPONSES: Finders<2> = LazyLock::new(|| ["\"service_tier\"", "_call\""].map(Finder::new));
    static MESSAGES: Finders<4> = LazyLock::new(|| {
        ["\"service_tier\"", "\"server_tool_use\"", "\"inference_geo\"", "\"speed\""].map(Finder::new)
    });
    static GOOGLE: Finders<4> = LazyLock::new(|| {
        ["\"groundingMetadata\"", "\"urlContextMetadata\"", "\"trafficType\"", "erviceTier\""]
            .map(Finder::new)
    });
    match dialect {
        Dialect::Chat => &*CHAT,
        Dialect::Responses => &*RESPONSES,
        Dialect::Messages => &*MESSAGES,
        Dialect::Google => &*GOOGLE,
    }
}

/// Reads it off an answer, whole or in pieces.
#[derive(Debug, Default)]
pub struct Uses {
    tools: ToolCalls,
    tier: Option<Term>,
    others: Terms,
    /// Items of a stream of responses that are complete; its end tells all of them again.
    items: ToolCalls,
    /// What is counted once however often it is told.
    seen: HashSet<String>,
}

impl Uses {
    /// What a whole answer used.
    #[must_use]
    pub fn whole(dialect: Dialect, body: &[u8]) -> Used {
        let mut uses = Self::default();
        uses.take(dialect, body);
        uses.used()
    }

    /// What was used so far.
    #[must_use]
    pub fn used(&self) -> Used {
        let terms = self.tier.map_or(self.others, |term| self.others.with(term));
        Used { tools: self.tools.max(self.items), terms }
    }

    /// Takes in a piece: an event's data, a chunk, or all of it.
    pub fn take(&mut self, dialect: Dialect, data: &[u8]) {
        // Most pieces say nothing of this.
        if !hints(dialect).iter().any(|hint| hint.find(data).is_some()) {
            return;
        }
        if dialect == Dialect::Chat {
            // What cannot be read says nothing.
            self.chat(data).unwrap_or_default();
            return;
        }
        let Ok(said) = serde_json::from_slice::<Value>(data) else { return };
        match dialect {
            Dialect::Responses => self.responses(&said),
            Dialect::Messages => self.messages(&said),
            Dialect::Google => self.google(&said),
            Dialect::Chat => {}
        }
    }

    fn chat(&mut self, data: &[u8]) -> Result<(), Malformed> {
        Walk::new(data).object(|name, walk| {
            let value = walk.value()?;
            match name {
                b"service_tier" => self.tier(serde_json::from_slice::<String>(value).ok().as_deref()),
                b"usage" if value.starts_with(b"{") => {
                    let usage: Value = serde_json::from_slice(value).unwrap_or_default();
                    self.server_tools(&usage);
                    for name in ["num_search_queries", "num_sources_used"] {
                        self.tools.raise(Tool::WebSearch, look::whole(&usage, name).unwrap_or(0));
                    }
                }
                _ => {}
            }
            Ok(())
        })
    }

    fn responses(&mut self, said: &Value) {
        if look::kind(said) == "response.output_item.done" {
            if let Some(tool) = said.get("item").and_then(|item| self.item(item)) {
                self.items.add(tool);
            }
            return;
        }
        let response = said.get("response").unwrap_or(said);
        self.tier(response.get("service_tier").and_then(Value::as_str));
        // The same containers are told again; here they count anew.
        let mut again = Self::default();
        for item in look::list(response, "output") {
            if let Some(tool) = again.item(item) {
                again.items.add(tool);
            }
        }
        self.tools = self.tools.max(again.items);
    }

    /// The tool that an item of responses has used and that counts.
    fn item(&mut self, item: &Value) -> Option<Tool> {
        let called = look::kind(item).strip_suffix("_call")?;
        let Known::Priced(tool) = Known::of(called) else { return None };
        match tool {
            // A page that was opened, or looked through, is no search.
            Tool::WebSearch => {
                let action = item.pointer("/action/type").and_then(Value::as_str).unwrap_or("search");
                (action == "search").then_some(tool)
            }
            Tool::CodeExecution => match look::some_text(item, "container_id") {
                Some(container) => self.is_new(&container).then_some(tool),
                None => Some(tool),
            },
            _ => Some(tool),
        }
    }

    fn messages(&mut self, said: &Value) {
        let block = said.get("content_block").unwrap_or(&Value::Null);
        if look::kind(block) == "server_tool_use"
            && let Known::Priced(tool) = Known::of(look::text(block, "name"))
        {
            self.items.add(tool);
        }
        let usage = said.get("usage").or_else(|| said.pointer("/message/usage"));
        let Some(usage) = usage else { return };
        self.tier(usage.get("service_tier").and_then(Value::as_str));
        for (name, word, term) in [("inference_geo", "us", Term::Us), ("speed", "fast", Term::Fast)] {
            if look::text(usage, name) == word {
                self.others = self.others.with(term);
            }
        }
        if usage.get("server_tool_use").is_some_and(Value::is_object) {
            // What is reported is what is charged; what was begun is no longer needed.
            self.items = ToolCalls::default();
        }
        self.server_tools(usage);
    }

    fn server_tools(&mut self, usage: &Value) {
        let Some(uses) = usage.get("server_tool_use").and_then(Value::as_object) else { return };
        for (name, calls) in uses {
            let (Some(word), Some(calls)) = (name.strip_suffix("_requests"), calls.as_u64()) else {
                continue;
            };
            if let Known::Priced(tool) = Known::of(word) {
                self.tools.raise(tool, calls);
            }
        }
    }

    fn google(&mut self, said: &Value) {
        let usage = said.get("usageMetadata").unwrap_or(&Value::Null);
        for name in ["trafficType", "serviceTier"] {
            self.tier(usage.get(name).and_then(Value::as_str));
        }
        for candidate in look::list(said, "candidates") {
            let grounding = candidate.get("groundingMetadata").unwrap_or(&Value::Null);
            // Empty queries and those that repeat one are not charged.
            for query in look::list(grounding, "webSearchQueries").iter().filter_map(Value::as_str) {
                if !query.is_empty() && self.is_new(query) {
                    self.tools.add(Tool::WebSearch);
                    self.tools.raise(Tool::Grounding, 1);
                }
            }
            if look::list(grounding, "groundingChunks").iter().any(|chunk| chunk.get("maps").is_some()) {
                self.tools.raise(Tool::Maps, 1);
            }
            let pages = candidate.get("urlContextMetadata").unwrap_or(&Value::Null);
            self.tools.raise(Tool::WebFetch, look::list(pages, "urlMetadata").len() as u64);
        }
    }

    fn is_new(&mut self, text: &str) -> bool {
        self.seen.len() < MOST_TOLD_APART && self.seen.insert(text.chars().take(256).collect())
    }

    fn tier(&mut self, word: Option<&str>) {
        match word.map(Tier::of) {
            Some(Tier::Of(term)) => self.tier = Some(term),
            Some(Tier::Usual) => self.tier = None,
            Some(Tier::Undecided | Tier::Unknown) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn used(dialect: Dialect, pieces: &[Value]) -> Used {
        let mut uses = Uses::default();
        pieces.iter().for_each(|piece| uses.take(dialect, piece.to_string().as_bytes()));
        uses.used()
    }

    fn calls(calls: &[(Tool, u64)]) -> ToolCalls {
        let mut all = ToolCalls::default();
        calls.iter().for_each(|(tool, calls)| all.set(*tool, *calls));
        all
    }

    #[test]
    fn each_dialect_says_what_was_used() {
        let search = json!({"type": "web_search_call", "action": {"type": "search"}});
        let opened = json!({"type": "web_search_call", "action": {"type": "open_page"}});
        let code = |id: &str| json!({"type": "code_interpreter_call", "container_id": id});
        let function = json!({"type": "function_call", "name": "f"});
        let done = |item: &Value| json!({"type": "response.output_item.done", "item": item});
        let output = [&search, &opened, &search, &code("a"), &code("a"), &code("b"), &function];
        let found = calls(&[(Tool::WebSearch, 2), (Tool::CodeExecution, 2)]);
        let mut events: Vec<Value> = output.iter().map(|item| done(item)).collect();
        let in_flex = json!({"output": output, "service_tier": "flex"});
        assert_eq!(used(Dialect::Responses, &events).tools, found);
        events.push(json!({"type": "response.completed", "response": in_flex}));
        for pieces in [events.as_slice(), &[in_flex]] {
            let expected = Used { tools: found, terms: Terms::NONE.with(Term::Flex) };
            assert_eq!(used(Dialect::Responses, pieces), expected);
        }

        let usage = |searches: u64| {
            json!({"server_tool_use": {"web_search_requests": searches, "web_fetch_requests": 1},
            "service_tier": "priority", "speed": "fast", "inference_geo": "us"})
        };
        let begun = json!({"content_block": {"type": "server_tool_use", "name": "web_search"}});
        let terms = Terms::NONE.with(Term::Priority).with(Term::Fast).with(Term::Us);
        let tools = calls(&[(Tool::WebSearch, 3), (Tool::WebFetch, 1)]);
        let pieces = [json!({"message": {"usage": usage(0)}}), begun.clone(), json!({"usage": usage(3)})];
        assert_eq!(used(Dialect::Messages, &pieces), Used { tools, terms });
        assert_eq!(used(Dialect::Messages, &[begun.clone(), begun]).tools, calls(&[(Tool::WebSearch, 2)]));

        let grounded = |queries: Value| {
            json!({"candidates": [{"groundingMetadata": {"webSearchQueries": queries}}],
            "usageMetadata": {"trafficType": "ON_DEMAND_PRIORITY"}})
        };
        let pieces = [grounded(json!(["a", "", "b"])), grounded(json!(["b", "a"]))];
        let tools = calls(&[(Tool::WebSearch, 2), (Tool::Grounding, 1)]);
        assert_eq!(used(Dialect::Google, &pieces), Used { tools, terms: Terms::NONE.with(Term::Priority) });

        let chunk = |tier: &str| json!({"choices": [], "service_tier": tier});
        assert_eq!(used(Dialect::Chat, &[chunk("flex"), chunk("auto")]).terms, Terms::NONE.with(Term::Flex));
        assert_eq!(used(Dialect::Chat, &[chunk("flex"), chunk("default")]).terms, Terms::NONE);
        let counted = json!({"usage": {"server_tool_use": {"web_search_requests": 2}}});
        assert_eq!(used(Dialect::Chat, &[counted]).tools, calls(&[(Tool::WebSearch, 2)]));
        for dialect in Dialect::ALL {
            assert_eq!(Uses::whole(dialect, b"\"service_tier\" _call\" \"trafficType\" {"), Used::default());
        }
    }
}
