//! Formats of clients and providers, streams, and conversions between them; pure.
//!
//! [`openai`] reads and edits requests and answers of the OpenAI dialect without building a tree: bytes that need
//! not change are passed on as they came. [`sse`] splits a byte stream into events. [`error`] is the one table from
//! refusal × dialect to an error body.

pub mod error;
mod json;
pub mod openai;
mod redact;
pub mod sse;
pub mod tokenizer;
