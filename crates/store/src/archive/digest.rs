//! Whether two databases have the same in their tables.

use std::collections::BTreeMap;

use ring::digest::{Context, SHA256};

use super::{ArchiveError, Cell, Column, Piece, Sink};

/// The checksum of every table, whatever the order of its columns.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Digests(BTreeMap<String, Vec<u8>>);

impl Digests {
    /// A table that differs, if there is one.
    pub(super) fn differing<'a>(&'a self, other: &'a Self) -> Option<&'a str> {
        let names = self.0.keys().chain(other.0.keys());
        names.into_iter().find(|name| self.0.get(*name) != other.0.get(*name)).map(String::as_str)
    }
}

/// Adds up what it takes.
#[derive(Default)]
pub(super) struct Adder {
    done: Digests,
    now: Option<(String, Vec<usize>, Context)>,
}

impl Adder {
    pub(super) fn finish(mut self) -> Digests {
        self.end_table();
        self.done
    }

    pub(super) fn add(&mut self, piece: &Piece) {
        match piece {
            Piece::Table(table) => {
                self.end_table();
                let mut digest = Context::new(&SHA256);
                digest.update(&table.last_id.to_le_bytes());
                self.now = Some((table.name.clone(), by_name(&table.columns), digest));
            }
            Piece::Rows(rows) => {
                let Some((_, order, digest)) = &mut self.now else { return };
                for row in rows {
                    for cell in order.iter().filter_map(|index| row.get(*index)) {
                        add(digest, cell);
                    }
                }
            }
            Piece::Begin(_) | Piece::End => {}
        }
    }

    fn end_table(&mut self) {
        if let Some((name, _, digest)) = self.now.take() {
            self.done.0.insert(name, digest.finish().as_ref().to_vec());
        }
    }
}

impl Sink for Adder {
    async fn take(&mut self, piece: Piece) -> Result<(), ArchiveError> {
        self.add(&piece);
        Ok(())
    }
}

/// Where the columns stand, in the order of their names: steps of the schema have put them in another order in each database.
fn by_name(columns: &[Column]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|index| columns.get(*index).map(|column| column.name.as_str()));
    order
}

fn add(digest: &mut Context, cell: &Cell) {
    let (kind, bytes): (u8, &[u8]) = match cell {
        Cell::Null => (0, &[]),
        Cell::Number(number) => return digest.update(&[&[1], number.to_le_bytes().as_slice()].concat()),
        Cell::Text(text) => (2, text.as_bytes()),
        Cell::Bytes(bytes) => (3, bytes),
    };
    digest.update(&[kind]);
    digest.update(&(bytes.len() as u64).to_le_bytes());
    digest.update(bytes);
}
