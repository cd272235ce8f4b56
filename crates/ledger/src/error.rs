//! Why the ledger says no.

use std::io;

use model::{id::PoolId, money::Units};

use crate::{book::BookError, reader::ReadError};

/// Why the ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The journal is damaged or cannot be read.
    #[error(transparent)]
    Journal(#[from] ReadError),
    /// The operating system says no.
    #[error("cannot open the journal: {0}")]
    Io(#[from] io::Error),
    /// The database does not answer.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The journal does not agree with the book.
    #[error("the journal and the database disagree: {0}")]
    Disagree(String),
}

/// Why a hold was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoldError {
    /// A pool does not cover it.
    #[error("pool {pool} does not cover {need} units: {have} remain")]
    NotAffordable {
        /// The pool.
        pool: PoolId,
        /// Units needed.
        need: Units,
        /// Units there are.
        have: Units,
    },
    /// The journal takes no holds now.
    #[error("the journal takes no holds now")]
    NotAdmitting,
    /// There is no such pool.
    #[error("there is no pool {0}")]
    UnknownPool(PoolId),
    /// The database does not answer.
    #[error("{0}")]
    Book(String),
}

/// The journal failed for good: the process must end and start again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal failed: {0}")]
pub struct FatalError(pub String);

/// Why what was settled could not be brought into the book in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlushError {
    /// The journal failed for good.
    #[error(transparent)]
    Fatal(#[from] FatalError),
    /// The database did not answer in time.
    #[error("the database did not answer in time")]
    Late,
    /// The database does not answer.
    #[error(transparent)]
    Book(#[from] BookError),
}
