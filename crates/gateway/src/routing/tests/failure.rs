//! What follows from each failure, as a table.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::at;
use crate::routing::{CredentialVerdict, Next, Policy, UpstreamFailure, Verdict, retry_after};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn verdict(status: u16, retry_after: Option<Duration>) -> Verdict {
    UpstreamFailure::Status { status, retry_after }.verdict(&Policy::default())
}

#[test]
fn every_status_of_the_caller_s_fault_is_answered_and_nothing_else() {
    let moving = [401, 402, 403, 408, 409, 429];
    for status in 100..=999 {
        let expected = match status {
            400..=499 if !moving.contains(&status) => Next::Answer,
            _ => Next::MoveOn,
        };
        let found = verdict(status, None);
        assert_eq!(found.next, expected, "{status}");
        assert_eq!(found.broken, !(400..=499).contains(&status), "{status}");
        assert_eq!(found.rest, None, "{status}");
    }
    use UpstreamFailure::{Connect, Malformed, Reset, Timeout};
    for failure in [Connect, Reset, Timeout, Malformed] {
        let found = failure.verdict(&Policy::default());
        assert_eq!((found.next, found.broken), (Next::MoveOn, true), "{failure:?}");
        assert_eq!(found.credential, CredentialVerdict::Fine);
    }
}

#[test]
fn what_rests_and_for_how_long() {
    use CredentialVerdict::{Doubted, Fine, Refused, Rest};
    let longest = Policy::default().longest_cool_down;
    let rows = [
        (401, None, None, Refused),
        (401, Some(secs(7)), None, Refused),
        (402, None, None, Rest(longest)),
        (403, None, None, Doubted),
        (408, Some(secs(7)), Some(secs(7)), Fine),
        (429, None, None, Rest(secs(5))),
        (429, Some(secs(7)), None, Rest(secs(7))),
        (429, Some(secs(0)), None, Fine),
        (429, Some(secs(u64::MAX)), None, Rest(longest)),
        (500, None, None, Fine),
        (503, None, None, Fine),
        (503, Some(secs(7)), Some(secs(7)), Fine),
        (503, Some(secs(0)), None, Fine),
        (503, Some(secs(86_400)), Some(longest), Fine),
        (529, Some(secs(7)), Some(secs(7)), Fine),
        (400, Some(secs(7)), None, Fine),
    ];
    for (status, asked, rest, credential) in rows {
        let found = verdict(status, asked);
        assert_eq!((found.rest, found.credential), (rest, credential), "{status} {asked:?}");
    }
}

#[test]
fn reads_good_absent_and_absurd_times() {
    // Sun, 06 Nov 1994 08:49:37 GMT is 784111777.
    let now = at(784_111_777_000);
    let rows: [(&str, &str, Option<Duration>); 17] = [
        ("retry-after", "0", Some(secs(0))),
        ("retry-after", "120", Some(secs(120))),
        ("retry-after", " 120 ", Some(secs(120))),
        ("retry-after", "1.2", Some(secs(2))),
        ("retry-after", "2.0", Some(secs(2))),
        ("retry-after", "-5", None),
        ("retry-after", "+5", None),
        ("retry-after", "soon", None),
        ("retry-after", "", None),
        ("retry-after", "1e9", None),
        ("retry-after", "99999999999999999999999", Some(secs(u64::MAX))),
        ("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT", Some(secs(60))),
        ("retry-after", "Sun, 06 Nov 1994 08:48:37 GMT", Some(secs(0))),
        ("retry-after", "Sun, 99 Nov 1994 08:48:37 GMT", None),
        ("retry-after-ms", "1500", Some(Duration::from_millis(1_500))),
        ("retry-after-ms", "soon", None),
        ("other", "7", None),
    ];
    for (name, value, expected) in rows {
        let name = HeaderName::from_static(name);
        let headers = HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())]);
        assert_eq!(retry_after(&headers, now), expected, "{value:?}");
    }
    let opaque = HeaderValue::from_bytes(&[0xff]).unwrap();
    assert_eq!(retry_after(&HeaderMap::from_iter([(http::header::RETRY_AFTER, opaque)]), now), None);
}
