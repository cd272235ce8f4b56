//! How much of a pool one node gets: all of it while it is alone, a little once others live.
//!
//! Pure arithmetic, which every book uses. What it keeps true: a grant is never more than there is, and what an older
//! wish of another node is waiting for is left for that node.

use model::money::Units;

use crate::book::Ask;

/// A grant beyond what requests wait for is never more than this part of what is available.
pub const PART: i64 = 100;

/// Units to grant: nothing when the need cannot be met.
///
/// `available` is what the pool has, `reserved` what of it older wishes of others wait for, `others` how many other
/// nodes live.
#[must_use]
pub fn size(available: Units, reserved: Units, others: i64, ask: &Ask) -> Units {
    let available = available.get().max(0);
    if others <= 0 {
        return Units::new(available);
    }
    let free = available.saturating_sub(reserved.get()).max(0);
    let need = ask.need.get().max(0);
    if need > free {
        return Units::ZERO;
    }
    let share = available / others.saturating_add(1);
    let waiting = ask.waiting.get().min(share);
    let spending = ask.spending.get().min(share).min(available / PART);
    Units::new(need.max(waiting).max(spending).min(free))
}

/// Units to grant where the need is not met and nobody has more to give: all that there is, as far as it is of use.
#[must_use]
pub fn rest(available: Units, reserved: Units, ask: &Ask) -> Units {
    let free = available.get().saturating_sub(reserved.get()).max(0);
    Units::new(free.min(ask.need.get().max(ask.waiting.get()).max(0)))
}

#[cfg(test)]
mod tests {
    use model::id::PoolId;

    use super::*;

    fn ask(need: i64, waiting: i64, spending: i64) -> Ask {
        let [need, waiting, spending] = [need, waiting, spending].map(Units::new);
        Ask { pool: PoolId(1), need, waiting, spending }
    }

    #[test]
    fn a_grant_is_what_the_table_says() {
        // Available, reserved, others, need, waiting, spending: granted.
        let table = [
            ([1_000, 0, 0, 1, 1, 0], 1_000, "alone it has all"),
            ([1_000, 900, 0, 1, 1, 0], 1_000, "nobody lives whose wish it was"),
            ([1_000, 0, 2, 1, 1, 0], 1, "what is needed"),
            ([1_000, 0, 2, 1, 100, 0], 100, "what all need who wait"),
            ([1_000, 0, 2, 1, 900, 0], 333, "but only its share for all of them"),
            ([1_000, 0, 2, 700, 900, 0], 700, "one request may need more than a share"),
            ([1_000, 0, 2, 1, 1, 900], 10, "a hundredth for what is to come"),
            ([1_000, 0, 2, 0, 0, 4], 4, "or less where that is enough"),
            ([99, 0, 2, 0, 0, 900], 0, "nothing ahead near the end"),
            ([99, 0, 2, 1, 1, 900], 1, "one grant for each request"),
            ([99, 98, 2, 1, 50, 900], 1, "what others wait for stays"),
            ([99, 99, 2, 1, 1, 900], 0, "all of it is waited for"),
            ([99, 0, 2, 100, 100, 900], 0, "less than needed is of no use"),
        ];
        for ([available, reserved, others, need, waiting, spending], granted, why) in table {
            let size =
                size(Units::new(available), Units::new(reserved), others, &ask(need, waiting, spending));
            assert_eq!(size, Units::new(granted), "{why}");
        }
    }

    #[test]
    fn the_rest_is_what_is_of_use() {
        for (available, reserved, need, waiting, granted) in
            [(40, 0, 100, 100, 40), (40, 10, 100, 100, 30), (40, 50, 100, 100, 0), (40, 0, 5, 9, 9)]
        {
            let rest = rest(Units::new(available), Units::new(reserved), &ask(need, waiting, 0));
            assert_eq!(rest, Units::new(granted));
        }
    }
}
