//! Formats of clients and providers, streams, and conversions between them; pure.
//!
//! [`request`] reads and edits requests, and [`openai`] and [`tap`] read answers, without building a tree: bytes that need
//! not change are passed on as they came. [`sse`] splits a byte stream into events. [`error`] is the one table from
//! refusal × dialect to an error body. [`convert`] is what is used where caller and upstream speak different dialects;
//! each has a folder here, and none knows of another.

mod chat;
mod conversation;
pub mod convert;
pub mod dialect;
pub mod error;
pub mod extras;
pub mod google;
mod json;
mod look;
mod members;
pub mod messages;
pub mod models;
pub mod openai;
pub mod passage;
pub mod plain;
pub mod realtime;
mod redact;
pub mod request;
pub mod responses;
pub mod sound;
pub mod sse;
pub mod tap;
pub mod tokenizer;
pub mod usage;
pub mod whole;
