//! Walking over records, newest first, with a step of them in memory: what exports are made from.

use std::collections::VecDeque;

use super::{
    UsageFilter, UsageRecord,
    read::{records, run},
    segment::{EVERYWHERE, Segment, reach, segments},
};
use crate::store::{Store, StoreError};

/// Records in one step of a walk.
const STEP: i64 = 1_024;

/// A walk over records, newest first.
#[derive(Debug)]
pub struct UsageWalk {
    store: Store,
    filter: UsageFilter,
    segments: VecDeque<Segment>,
    /// What is known already.
    found: Vec<UsageRecord>,
}

impl Store {
    /// A walk over all records that fit and are there now, newest first, in memory for a step of it.
    ///
    /// # Errors
    /// The database.
    pub async fn usage_walk(&self, filter: UsageFilter) -> Result<UsageWalk, StoreError> {
        let mut tx = self.snapshot().await?;
        let filter = filter.resolved(&mut tx).await?;
        let reach = reach(&mut tx, &filter).await?;
        let segments = segments(&mut tx, &filter, &reach, &EVERYWHERE).await?.into();
        Ok(UsageWalk { store: self.clone(), filter, segments, found: Vec::new() })
    }

    /// A walk over the records that fit and have this request id, newest first.
    ///
    /// # Errors
    /// The database.
    pub async fn usage_walk_of_request(
        &self,
        filter: UsageFilter,
        request_id: &str,
    ) -> Result<UsageWalk, StoreError> {
        let found = self.usage_of_request(&filter, request_id).await?;
        Ok(UsageWalk { store: self.clone(), filter, segments: VecDeque::new(), found })
    }
}

impl UsageWalk {
    /// The next records; none at the end. Records that are forgotten meanwhile are passed over.
    ///
    /// # Errors
    /// The database.
    pub async fn step(&mut self) -> Result<Vec<UsageRecord>, StoreError> {
        if !self.found.is_empty() {
            return Ok(std::mem::take(&mut self.found));
        }
        let mut connection = self.store.read().await?;
        while !self.segments.is_empty() {
            let together = run(self.segments.make_contiguous(), STEP);
            let run: Vec<Segment> = self.segments.drain(..together).collect();
            let found = records(&mut connection, &self.filter, &run, 0, STEP).await?;
            let Some(last) = found.last() else { continue };
            if let [segment] = &*run
                && segment.rows > STEP
            {
                let rest = segment.rows - STEP;
                // A part of a block is read row by row.
                self.segments.push_front(Segment { high: last.id, rows: rest, whole: false, ..*segment });
            }
            return Ok(found);
        }
        Ok(Vec::new())
    }
}
