//! Turns HTTP into use cases and back: model API, management API, console, health.
//!
//! [`app`] is the whole service; `routes` is the one list of routes, `layers` the one list of what every request
//! passes. A handler takes typed input, calls one use case of `gateway`, and renders. [`serve`] accepts connections.

mod address;
mod console;
mod credentials;
mod envelope;
mod json;
mod layers;
mod management;
mod model_api;
mod openapi;
mod operation;
mod paced;
mod patient;
mod routes;
pub mod serve;

pub use console::configuration::{InForce, ValueSource, is_explained};
pub use layers::App;
pub use routes::AppState;
