//! Groups, channels and prices: what may be stored, what is refused, and what running servers learn of it.

use std::collections::BTreeMap;

use crate::fixture::{Fixture, at, credential_of};
use model::{
    id::ChannelId,
    key::Settings,
    money::Units,
    price::{ListedRates, Ratio, Term, TermRatio, Tool, ToolRate, UnitsPerMillion},
};
use store::{AccountChange, Group, Kind, Leaps, NewChannel, NewPrice, StoreError};
use zeroize::Zeroizing;

const SECRET: &str = "upstream-credential-in-the-clear";

fn group(name: &str) -> Group {
    Group { name: name.to_owned(), description: "A group".to_owned(), ratio: Ratio(1_500_000) }
}

fn channel(groups: &[&str]) -> NewChannel {
    NewChannel {
        name: "main".to_owned(),
        kind: "openai".to_owned(),
        base_url: "https://api.example.com/v1".to_owned(),
        credential: Some(Zeroizing::new(SECRET.to_owned())),
        models: vec!["gpt".to_owned(), "o".to_owned()],
        mapping: BTreeMap::from([("gpt".to_owned(), "gpt-2026".to_owned())]),
        groups: groups.iter().map(|&name| name.to_owned()).collect(),
        priority: 5,
        weight: 1,
        enabled: true,
    }
}

fn price(model: &str, output: i64) -> NewPrice {
    NewPrice {
        model: model.to_owned(),
        rates: ListedRates { cache_write: Some(125), ..ListedRates::of(100, output) },
        per_call: 7,
        max_output: 4_096,
        reasoning: true,
        ..NewPrice::default()
    }
}

fn is_invalid<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Invalid(_)))
}

fn is_conflict<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Conflict(_)))
}

/// How often running servers were told to read the routes again.
async fn routing_changes(fixture: &Fixture) -> usize {
    let changes = fixture.store.changes_since(0).await.unwrap().list;
    changes.iter().filter(|change| change.kind == Kind::Routing).count()
}

#[tokio::test]
async fn everybody_s_group_is_there_from_the_beginning() {
    let fixture = super::open().await;
    let groups = fixture.store.list_groups().await.unwrap();
    let found: Vec<_> = groups.iter().map(|group| (group.name.as_str(), group.ratio)).collect();
    assert_eq!(found, [("default", Ratio::ONE)]);
}

#[tokio::test]
async fn a_group_is_made_changed_and_deleted() {
    let fixture = super::open().await;
    fixture.store.put_group(&group("vip"), at(1)).await.unwrap();
    let dearer = Group { ratio: Ratio(3_000_000), ..group("vip") };
    fixture.store.put_group(&dearer, at(2)).await.unwrap();
    assert_eq!(fixture.store.list_groups().await.unwrap().last(), Some(&dearer));
    fixture.store.delete_group("vip", at(3)).await.unwrap();
    assert_eq!(fixture.store.list_groups().await.unwrap().len(), 1);
    assert!(matches!(fixture.store.delete_group("vip", at(4)).await, Err(StoreError::NotFound)));
    assert_eq!(routing_changes(&fixture).await, 3);
}

#[tokio::test]
async fn a_group_that_cannot_be_is_refused() {
    let fixture = super::open().await;
    for name in ["", "a,b", " vip", "vip ", &"x".repeat(65)] {
        assert!(is_invalid(fixture.store.put_group(&group(name), at(1)).await), "{name:?}");
    }
    for ratio in [-1, Ratio::MAX.0 + 1] {
        let odd = Group { ratio: Ratio(ratio), ..group("vip") };
        assert!(is_invalid(fixture.store.put_group(&odd, at(1)).await), "{ratio}");
    }
    fixture.store.put_group(&group(&"ü".repeat(64)), at(1)).await.unwrap();
    let edge = Group { ratio: Ratio::MAX, ..group("dear") };
    fixture.store.put_group(&edge, at(1)).await.unwrap();
    assert_eq!(fixture.store.list_groups().await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_group_that_is_named_stays() {
    let fixture = super::open().await;
    let account = fixture.account("ada", None).await;
    assert!(is_conflict(fixture.store.delete_group("default", at(2)).await));

    for name in ["further", "of-key", "of-channel"] {
        fixture.store.put_group(&group(name), at(1)).await.unwrap();
    }
    let usable = |names: &[&str]| {
        let groups = Some(names.iter().map(|&name| name.to_owned()).collect());
        fixture.store.update_account(account.id, AccountChange { groups, ..AccountChange::default() }, at(2))
    };
    usable(&["of-key"]).await.unwrap();
    let settings = Settings { group: "of-key".to_owned(), ..Settings::default() };
    fixture.key(account.id, 1, 0, settings).await;
    usable(&["default", "further"]).await.unwrap();
    fixture.store.create_channel(&channel(&["default", "of-channel"]), at(2)).await.unwrap();

    for name in ["further", "of-key", "of-channel"] {
        assert!(is_conflict(fixture.store.delete_group(name, at(3)).await), "{name}");
    }
    assert_eq!(fixture.store.list_groups().await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_group_is_not_kept_by_names_that_only_look_alike() {
    let fixture = super::open().await;
    for name in ["a_b", "axb", "VIP", "vip", "%"] {
        fixture.store.put_group(&group(name), at(1)).await.unwrap();
    }
    fixture.store.create_channel(&channel(&["axb", "vip"]), at(2)).await.unwrap();
    for name in ["a_b", "VIP", "%"] {
        fixture.store.delete_group(name, at(3)).await.unwrap();
    }
    for name in ["axb", "vip"] {
        assert!(is_conflict(fixture.store.delete_group(name, at(3)).await), "{name}");
    }
}

#[tokio::test]
async fn a_channel_is_made_read_changed_and_deleted() {
    let fixture = super::open().await;
    let new = channel(&["default"]);
    let made = fixture.store.create_channel(&new, at(1)).await.unwrap();
    assert_eq!((&made.name, &made.base_url), (&new.name, &new.base_url));
    assert_eq!((&made.models, &made.mapping, &made.groups), (&new.models, &new.mapping, &new.groups));
    assert_eq!((made.priority, made.enabled), (5, true));
    assert_eq!(credential_of(&fixture.store, made.id).await, SECRET);

    let change = NewChannel { credential: None, enabled: false, ..new.clone() };
    assert!(!fixture.store.update_channel(made.id, &change, at(2)).await.unwrap().enabled);
    assert_eq!(credential_of(&fixture.store, made.id).await, SECRET);
    let change = NewChannel { credential: Some(Zeroizing::new("another".to_owned())), ..new.clone() };
    let changed = fixture.store.update_channel(made.id, &change, at(3)).await.unwrap();
    assert_eq!(credential_of(&fixture.store, made.id).await, "another");
    assert_eq!(fixture.store.list_channels().await.unwrap(), [changed]);

    assert!(fixture.store.delete_channel(made.id, at(4)).await.unwrap());
    assert_eq!(routing_changes(&fixture).await, 4);
    assert!(!fixture.store.delete_channel(made.id, at(5)).await.unwrap());
    assert_eq!(fixture.store.channel(made.id).await.unwrap(), None);
    let gone = fixture.store.update_channel(made.id, &new, at(6)).await;
    assert!(matches!(gone, Err(StoreError::NotFound)));
    assert_eq!(credential_of(&fixture.store, made.id).await, "");
    assert_eq!(routing_changes(&fixture).await, 4);
}

/// A mapping that cannot be read must not pass for none: the upstream would be asked for another model.
#[tokio::test]
async fn a_damaged_mapping_is_told_and_can_be_deleted() {
    let fixture = super::open().await;
    let new = channel(&["default"]);
    let made = fixture.store.create_channel(&new, at(1)).await.unwrap();
    for damaged in ["", "{", "[]", r#"{"gpt":7}"#] {
        let sql = "UPDATE channel SET mapping = $1";
        sqlx::query(sql).bind(damaged).execute(&mut fixture.raw().await).await.unwrap();
        let told = fixture.store.list_channels().await.unwrap_err();
        assert!(matches!(told, StoreError::CorruptMapping(id) if id == made.id), "{told}");
        let edited = fixture.store.update_channel(made.id, &new, at(2)).await;
        assert!(matches!(edited, Err(StoreError::CorruptMapping(_))));
    }
    assert!(fixture.store.delete_channel(made.id, at(3)).await.unwrap());
    assert_eq!(fixture.store.list_channels().await.unwrap(), []);
}

#[tokio::test]
async fn a_channel_may_have_no_credential() {
    let fixture = super::open().await;
    let new = NewChannel { credential: None, ..channel(&[]) };
    let made = fixture.store.create_channel(&new, at(1)).await.unwrap();
    assert_eq!(credential_of(&fixture.store, made.id).await, "");
}

#[tokio::test]
async fn a_channel_s_credential_opens_in_its_own_row_alone() {
    let fixture = super::open().await;
    let first = fixture.store.create_channel(&channel(&[]), at(1)).await.unwrap();
    let second = fixture.store.create_channel(&channel(&[]), at(1)).await.unwrap();
    let moved =
        "UPDATE channel_credential SET sealed = (SELECT sealed FROM channel_credential WHERE channel = $1)
                 WHERE channel = $2";
    sqlx::query(moved).bind(first.id.0).bind(second.id.0).execute(&mut fixture.raw().await).await.unwrap();
    fixture.store.add_credential(second.id, "its own", "sk-own", at(2)).await.unwrap();
    let usable = fixture.store.usable_credentials(second.id).await.unwrap();
    assert!(
        matches!(usable.as_slice(), [(_, Err(StoreError::Corrupt(_))), (_, Ok(text))] if text.as_str() == "sk-own")
    );
}

#[tokio::test]
async fn a_channel_s_credential_is_nowhere_in_the_database() {
    let fixture = super::open().await;
    fixture.store.create_channel(&channel(&["default"]), at(1)).await.unwrap();
    let contents = fixture.contents().await;
    assert!(
        contents.has(b"https://api.example.com/v1"),
        "what is not secret must be found, or this proves nothing"
    );
    assert!(!contents.has(SECRET.as_bytes()));
}

#[tokio::test]
async fn base_urls_that_lead_elsewhere_are_refused() {
    let fixture = super::open().await;
    for base_url in [
        "",
        "api.example.com",
        "ftp://api.example.com",
        "https://",
        "https:///v1",
        "https://:443/v1",
        "https://user:secret@api.example.com",
        "https://api.example.com/v1?key=1",
        "https://api.example.com/v1#top",
        "https://api.example.com\\@elsewhere.example",
        "https://api.example.com:0",
        "https://api.example.com:65536",
        "https://api.example.com:+80",
        "https://api.example.com:",
        "https://[::1",
        "https://[nonsense]/v1",
        "https://api example.com",
        "https://api.example.com/\n",
    ] {
        let new = NewChannel { base_url: base_url.to_owned(), ..channel(&[]) };
        assert!(is_invalid(fixture.store.create_channel(&new, at(1)).await), "{base_url:?}");
    }
    assert_eq!(fixture.store.list_channels().await.unwrap(), []);
    for base_url in
        ["http://127.0.0.1:8080", "https://[2001:db8::1]:8443/v1/", "http://a_b", "https://a.example/v1"]
    {
        let new = NewChannel { base_url: base_url.to_owned(), ..channel(&[]) };
        assert_eq!(fixture.store.create_channel(&new, at(1)).await.unwrap().base_url, base_url);
    }
}

#[tokio::test]
async fn a_channel_that_cannot_be_is_refused_and_leaves_nothing() {
    let fixture = super::open().await;
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let refused = [
        NewChannel { name: String::new(), ..channel(&[]) },
        NewChannel { name: "x".repeat(65), ..channel(&[]) },
        NewChannel { models: names(&["a,b"]), ..channel(&[]) },
        NewChannel { models: names(&[" "]), ..channel(&[]) },
        NewChannel { models: names(&["gpt "]), ..channel(&[]) },
        NewChannel { models: names(&[""]), ..channel(&[]) },
        NewChannel { credential: Some(Zeroizing::new("two\r\nlines".to_owned())), ..channel(&[]) },
        channel(&["nowhere"]),
    ];
    for new in refused {
        assert!(is_invalid(fixture.store.create_channel(&new, at(1)).await), "{} {:?}", new.name, new.models);
    }
    assert_eq!(fixture.store.list_channels().await.unwrap(), []);
    assert_eq!(fixture.store.channel(ChannelId(1)).await.unwrap(), None);
}

#[tokio::test]
async fn a_price_is_in_force_until_the_next() {
    let fixture = super::open().await;
    let first = fixture.store.put_price(&price("gpt", 800), Leaps::Confirmed, at(10)).await.unwrap();
    let second = fixture.store.put_price(&price("gpt", 900), Leaps::Confirmed, at(20)).await.unwrap();
    fixture.store.put_price(&price("another", 1), Leaps::Confirmed, at(20)).await.unwrap();
    let in_force = async |now| {
        let prices = fixture.store.prices(at(now)).await.unwrap();
        prices.into_iter().map(|one| (one.model, one.price.id, one.price.rates.output)).collect::<Vec<_>>()
    };
    assert_eq!(in_force(9).await, []);
    assert_eq!(in_force(10).await, [("gpt".to_owned(), first, UnitsPerMillion(800))]);
    assert_eq!(in_force(19).await, [("gpt".to_owned(), first, UnitsPerMillion(800))]);
    let last = in_force(20).await;
    assert_eq!(last.len(), 2);
    assert_eq!(last.last(), Some(&("gpt".to_owned(), second, UnitsPerMillion(900))));
    assert_eq!(routing_changes(&fixture).await, 3);
}

#[tokio::test]
async fn of_two_prices_at_one_moment_the_later_counts() {
    let fixture = super::open().await;
    fixture.store.put_price(&price("gpt", 800), Leaps::Confirmed, at(10)).await.unwrap();
    let second = fixture.store.put_price(&price("gpt", 900), Leaps::Confirmed, at(10)).await.unwrap();
    let prices = fixture.store.prices(at(10)).await.unwrap();
    assert_eq!(prices.iter().map(|one| one.price.id).collect::<Vec<_>>(), [second]);
}

#[tokio::test]
async fn a_price_keeps_its_numbers() {
    let fixture = super::open().await;
    fixture.store.put_price(&price("gpt", 800), Leaps::Confirmed, at(10)).await.unwrap();
    let prices = fixture.store.prices(at(10)).await.unwrap();
    let [found] = prices.as_slice() else { panic!("{prices:?}") };
    assert_eq!(found.price.rates.input, UnitsPerMillion(100));
    assert_eq!(found.price.rates.cached_input, UnitsPerMillion(100), "like input when it is not given");
    assert_eq!(found.price.rates.cache_write, UnitsPerMillion(125));
    assert_eq!(found.price.per_call, Units::new(7));
    assert_eq!((found.max_output, found.reasoning), (4_096, true));
}

#[tokio::test]
async fn a_price_that_cannot_be_is_refused() {
    let fixture = super::open().await;
    let beyond = Units::MAX.get() + 1;
    let tool = |rate| ToolRate { tool: Tool::WebSearch, rate: UnitsPerMillion(rate) };
    let term = |ratio| TermRatio { term: Term::Flex, ratio: Ratio(ratio) };
    let refused = [
        NewPrice { rates: ListedRates::of(-1, 1), ..price("gpt", 1) },
        NewPrice {
            rates: ListedRates { cached_input: Some(-1), ..ListedRates::of(1, 1) },
            ..price("gpt", 1)
        },
        NewPrice {
            rates: ListedRates { reasoning: Some(beyond), ..ListedRates::of(1, 1) },
            ..price("gpt", 1)
        },
        NewPrice { per_call: -1, ..price("gpt", 1) },
        NewPrice { per_second: -1, ..price("gpt", 1) },
        NewPrice { per_image: beyond, ..price("gpt", 1) },
        NewPrice { image_tokens: Some(0), ..price("gpt", 1) },
        NewPrice { tools: vec![tool(-1)], ..price("gpt", 1) },
        NewPrice { tools: vec![tool(1), tool(1)], ..price("gpt", 1) },
        NewPrice { terms: vec![term(-1)], ..price("gpt", 1) },
        NewPrice { terms: vec![term(100_000_001)], ..price("gpt", 1) },
        NewPrice { terms: vec![term(1), term(1)], ..price("gpt", 1) },
        NewPrice { tiers: vec![(0, ListedRates::of(1, 1))], ..price("gpt", 1) },
        NewPrice { tiers: vec![(1, ListedRates::of(1, -1))], ..price("gpt", 1) },
        NewPrice { tiers: vec![(2, ListedRates::of(1, 1)), (2, ListedRates::of(1, 1))], ..price("gpt", 1) },
        NewPrice { tiers: (1..10).map(|above| (above, ListedRates::of(1, 1))).collect(), ..price("gpt", 1) },
        NewPrice { max_output: 0, ..price("gpt", 1) },
        NewPrice { max_output: u64::MAX, ..price("gpt", 1) },
        price("gpt", -1),
        price("gpt", beyond),
        price("", 1),
        price("a,b", 1),
        price(&"x".repeat(257), 1),
    ];
    for new in refused {
        assert!(is_invalid(fixture.store.put_price(&new, Leaps::Confirmed, at(1)).await), "{new:?}");
    }
    assert_eq!(fixture.store.prices(at(1)).await.unwrap(), []);
}
