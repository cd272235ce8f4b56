//! The service over a real socket: the contract row by row, and the books whatever happens.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod accounts;
mod app;
mod bills;
mod browser;
mod catalogue;
mod clouds;
mod connections;
mod console;
mod console_administration;
mod console_hostile;
mod console_keys;
mod console_prices;
mod dialects;
mod docs;
mod edges;
mod exactness;
mod failures;
mod forbidden;
mod forms;
mod jobs;
mod keys;
mod logs;
mod model_api;
mod openapi;
mod operators;
mod outage;
mod passkeys;
mod pictures;
mod playground;
mod realtime;
mod realtime_ends;
mod realtime_written;
mod routes;
mod second_factor;
mod slow;
