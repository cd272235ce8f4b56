//! What every dialect says, without the words of any: the one form in between.
//!
//! A dialect reads itself into this form and writes itself from it, and knows of no other dialect. What only one of
//! them can say has a place here too, so that a writer can see that it cannot carry it; [`feature`] names such things.
//! What has no place here is refused by the reader, with its path.

pub(crate) mod answer;
pub(crate) mod event;
pub(crate) mod feature;
pub(crate) mod narrator;
pub(crate) mod part;
pub(crate) mod request;
