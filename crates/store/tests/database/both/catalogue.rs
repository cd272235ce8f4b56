//! What is known of models, lists of models, and prices to come.

use model::{
    id::PriceId,
    price::{ListedRates, Ratio, Size, SizeRate, Term, TermRatio, Tool, ToolRate, UnitsPerMillion},
};
use store::{Imported, Leaps, Listing, ModelFacts, NewPrice, Page, StoreError};

use crate::fixture::at;

fn facts(name: &str) -> ModelFacts {
    ModelFacts {
        provider: "Maker".to_owned(),
        features: vec!["vision".to_owned(), "tools".to_owned()],
        context_length: Some(100),
        ..ModelFacts::unknown(name)
    }
}

fn price(model: &str, input: i64) -> NewPrice {
    NewPrice {
        model: model.to_owned(),
        rates: ListedRates::of(input, 2),
        max_output: 9,
        ..NewPrice::default()
    }
}

fn listing(name: &str, prices: Vec<NewPrice>) -> Listing {
    Listing { facts: facts(name), prices }
}

#[tokio::test]
async fn facts_are_kept_as_they_were_said() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let whole = ModelFacts {
        kind: "embedding".to_owned(),
        description: "For tests.".to_owned(),
        input_modalities: vec!["text".to_owned()],
        output_modalities: vec!["text".to_owned()],
        endpoints: vec!["embeddings".to_owned()],
        doc_url: "https://example.com/doc".to_owned(),
        source: "https://example.com".to_owned(),
        as_of: "2026-11-21".to_owned(),
        listed: false,
        ..facts("b")
    };
    store.put_model(&whole, at(1)).await.unwrap();
    store.put_model(&facts("a"), at(1)).await.unwrap();
    assert_eq!(store.models().await.unwrap(), [facts("a"), whole.clone()]);
    assert_eq!(store.model("b").await.unwrap(), Some(whole));
    store.put_model(&facts("b"), at(2)).await.unwrap();
    assert_eq!(store.model("b").await.unwrap(), Some(facts("b")));
    store.forget_model("b", at(3)).await.unwrap();
    assert_eq!(store.model("b").await.unwrap(), None);
    assert!(matches!(store.forget_model("b", at(3)).await, Err(StoreError::NotFound)));
}

#[tokio::test]
async fn a_list_is_taken_in_once_and_whole() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let later = NewPrice { effective: Some(at(50)), ..price("a", 3) };
    let list = [listing("a", vec![price("a", 1), later]), listing("b", vec![price("b", 1)])];
    assert_eq!(
        store.import(&list, Leaps::Confirmed, at(10)).await.unwrap(),
        Imported { models: 2, prices: 3 }
    );
    assert_eq!(
        store.import(&list, Leaps::Confirmed, at(20)).await.unwrap(),
        Imported::default(),
        "nothing is new"
    );
    let wrong = [listing("c", vec![price("c", 1)]), listing("a", vec![price("a", -1)])];
    assert!(matches!(store.import(&wrong, Leaps::Confirmed, at(20)).await, Err(StoreError::Invalid(_))));
    assert_eq!(store.model("c").await.unwrap(), None);
    let known = [listing("a", vec![price("a", 7)]), listing("d", vec![price("d", 1)])];
    assert_eq!(store.import_unknown(&known, at(20)).await.unwrap(), Imported { models: 1, prices: 1 });
    let inputs = async |now| {
        let prices = store.prices(at(now)).await.unwrap();
        prices.into_iter().map(|one| (one.model, one.price.rates.input.0)).collect::<Vec<_>>()
    };
    let named = |name: &str, input| (name.to_owned(), input);
    assert_eq!(inputs(49).await, [named("a", 1), named("b", 1), named("d", 1)]);
    assert_eq!(inputs(50).await, [named("a", 3), named("b", 1), named("d", 1)]);
}

#[tokio::test]
async fn a_price_keeps_what_its_columns_do_not_say() {
    let fixture = super::open().await;
    let rates = ListedRates {
        cached_input: Some(1),
        cache_write: Some(2),
        cache_write_1h: Some(3),
        input_audio: Some(4),
        input_image: Some(5),
        reasoning: Some(6),
        output_audio: Some(7),
        output_image: Some(8),
        ..ListedRates::of(9, 10)
    };
    let new = NewPrice {
        rates,
        tiers: vec![(100, ListedRates::of(20, 30)), (200, rates)],
        per_call: 11,
        per_second: 12,
        per_image: 13,
        image_tokens: Some(14),
        tools: vec![ToolRate { tool: Tool::WebSearch, rate: UnitsPerMillion(15) }],
        terms: vec![TermRatio { term: Term::Priority, ratio: Ratio(2_000_000) }],
        sizes: vec![SizeRate { size: Size::P1080, rate: UnitsPerMillion(16) }],
        ..price("a", 0)
    };
    let id = fixture.store.put_price(&new, Leaps::Confirmed, at(1)).await.unwrap();
    let prices = fixture.store.prices(at(1)).await.unwrap();
    let [known] = prices.as_slice() else { panic!("{prices:?}") };
    assert_eq!((&known.price, known.image_tokens, known.effective), (&new.price(id), Some(14), at(1)));
}

#[tokio::test]
async fn a_price_to_come_is_known_and_may_be_taken_back() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let from = |effective, input| NewPrice { effective: Some(at(effective)), ..price("a", input) };
    let past = store.put_price(&from(5, 1), Leaps::Confirmed, at(10)).await.unwrap();
    let next = store.put_price(&from(30, 2), Leaps::Confirmed, at(10)).await.unwrap();
    let last = store.put_price(&from(40, 3), Leaps::Confirmed, at(10)).await.unwrap();
    store.put_price(&price("b", 1), Leaps::Confirmed, at(20)).await.unwrap();
    let page = Page { number: 1, size: 10 };
    let (versions, total) = store.price_versions(Some("a"), page).await.unwrap();
    assert_eq!(total, 3);
    let known: Vec<_> = versions.iter().map(|one| (one.price.id, one.effective)).collect();
    assert_eq!(known, [(last, at(40)), (next, at(30)), (past, at(10))], "what is past begins now");
    assert_eq!(store.price_versions(None, page).await.unwrap().1, 4);
    for (now, begins) in [(20, Some(30)), (29, Some(30)), (30, Some(40)), (40, None)] {
        assert_eq!(store.next_price(at(now)).await.unwrap(), begins.map(at));
    }
    assert!(matches!(store.withdraw_price(next, at(30)).await, Err(StoreError::Conflict(_))));
    store.withdraw_price(next, at(29)).await.unwrap();
    assert!(matches!(store.withdraw_price(PriceId(99), at(1)).await, Err(StoreError::NotFound)));
    assert_eq!(store.next_price(at(20)).await.unwrap(), Some(at(40)));
}

/// A slip of the pen is refused against the version that the new one follows, whenever it begins, and nothing is written.
#[tokio::test]
async fn a_price_that_leaps_must_be_confirmed() {
    let fixture = super::open().await;
    let store = &fixture.store;
    let price = |input: i64, from: Option<i64>| NewPrice {
        model: "m".to_owned(),
        rates: ListedRates::of(input, 7),
        max_output: 100,
        effective: from.map(at),
        ..NewPrice::default()
    };
    let put = async |input, from, leaps| store.put_price(&price(input, from), leaps, at(10)).await;
    put(100, None, Leaps::Refused).await.expect("the first price follows none");
    put(1_000, Some(50), Leaps::Refused).await.expect("tenfold is no leap");
    put(10_000, Some(60), Leaps::Refused).await.expect("it follows the one from 50 on");
    for (input, from) in [(1_001, None), (9, None), (99, Some(55)), (0, Some(70))] {
        let refused = put(input, from, Leaps::Refused).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Leap { model, .. } if model == "m"), "{refused}");
    }
    let said = put(1_001, None, Leaps::Refused).await.unwrap_err().to_string();
    assert_eq!(
        said,
        "model m: input would go from 100 to 1001 units for a million, which is more than tenfold; confirm it if that is meant"
    );
    assert_eq!(store.price_versions(None, Page { number: 1, size: 10 }).await.unwrap().1, 3);
    put(1_001, None, Leaps::Confirmed).await.unwrap();
    let list = [Listing { facts: facts("m"), prices: vec![price(1, None)] }];
    assert!(matches!(store.import(&list, Leaps::Refused, at(20)).await, Err(StoreError::Leap { .. })));
    assert_eq!(store.model("m").await.unwrap(), None, "a list is taken in whole or not at all");
}
