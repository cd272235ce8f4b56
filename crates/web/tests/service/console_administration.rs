//! What administrators see beside channels, accounts and prices, and what members see of their own use.

use serde_json::json;
use testkit::Script;

use crate::{
    app::{App, question},
    browser::{Browser, PASSWORD, location, password, root, signed_in},
};

#[tokio::test]
async fn the_books_are_proved_while_nobody_looks() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    assert!(browser.get(&app, "/console/ledger").await.text().contains("Not proved since this server began"));
    let asked = browser.send(&app, "/console/ledger", "/console/ledger/prove", &[]).await;
    assert_eq!(location(&asked), "/console/ledger");
    loop {
        let text = browser.get(&app, "/console/ledger").await.text();
        if text.contains("The books add up.") {
            break;
        }
        assert!(text.contains("hx-trigger=\"every 1s\""), "the page looks again: {text}");
    }
    let system = browser.get(&app, "/console/system").await.text();
    assert!(system.contains(env!("CARGO_PKG_VERSION")) && system.contains("MiB"), "{system}");
}

#[tokio::test]
async fn the_configuration_is_for_administrators_and_has_no_secret() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let page = browser.get(&app, "/console/configuration").await.text();
    for said in [
        "log.format",
        "environment: APSIS_LOG_FORMAT",
        "master_key",
        "set, and not shown",
        "Longest time for open",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(!page.contains("<b>apsis"));
    let member = app.account("member", 0).await;
    password(&app, member).await;
    let mut theirs = signed_in(&app, "member").await;
    assert_eq!(theirs.get(&app, "/console/configuration").await.status, 403);
    assert!(!theirs.get(&app, "/console").await.text().contains("/console/configuration"));
}

#[tokio::test]
async fn sums_of_usage_come_behind_the_page_or_with_it() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    for _ in 0..3 {
        assert_eq!(app.chat(&app.key, &question("m")).await.status, 200);
    }
    let page = browser.get(&app, "/console/usage?model=m").await.text();
    assert!(page.contains("hx-get=\"/console/usage/sums?model=m\"") && page.contains("sums=1"), "{page}");
    assert!(!page.contains("<div class=\"value\">3</div>"));
    let part = browser.get(&app, "/console/usage/sums?model=m").await.text();
    assert!(part.contains("<div class=\"value\">3</div>") && !part.contains("<html"), "{part}");
    assert!(browser.get(&app, "/console/usage/sums?model=other").await.text().contains(">0</div>"));
    let whole = browser.get(&app, "/console/usage?model=m&sums=1").await.text();
    assert!(whole.contains("<div class=\"value\">3</div>") && !whole.contains("usage/sums"), "{whole}");
}

#[tokio::test]
async fn a_balance_changes_for_a_reason_that_is_kept() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let id = app.account("member", 500_000).await;
    let page = format!("/console/accounts/{id}");
    let fields = [
        ("username", "member"),
        ("role", "1"),
        ("group", "default"),
        ("enabled", "1"),
        ("quota_before", "1.00"),
    ];
    let silent = browser.send(&app, &page, &page, &[&fields[..], &[("quota", "2.00")]].concat()).await;
    assert_eq!(silent.status, 422);
    assert!(silent.text().contains("Say why the balance changes."));
    let because = [&fields[..], &[("quota", "2.00"), ("reason", "invoice <b>17</b>")]].concat();
    location(&browser.send(&app, &page, &page, &because).await);
    let kept = [&fields[..], &[("quota", "1.00"), ("display_name", "M")]].concat();
    location(&browser.send(&app, &page, &page, &kept).await);
    let long = "é".repeat(101);
    let too_long = [&fields[..], &[("quota", "1.00"), ("display_name", long.as_str())]].concat();
    let refused = browser.send(&app, &page, &page, &too_long).await;
    assert_eq!(refused.status, 422);
    assert!(refused.text().contains("display_name is too long: at most 100 characters"));
    let audit = app.manage("GET", "/api/audit?object=account", None).await.json();
    let reasons: Vec<_> = audit["data"]["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["after"]["reason"].clone())
        .collect();
    assert_eq!(reasons, [json!(null), json!("invoice <b>17</b>"), json!(null)], "{audit}");
    let shown = browser.get(&app, "/console/audit").await.text();
    assert!(shown.contains("invoice") && !shown.contains("<b>17"));
    assert_eq!(app.store.account(id).await.unwrap().unwrap().remaining.get(), 1_000_000);
}

#[tokio::test]
async fn an_invitation_sets_one_password_once() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let id = app.account("member", 0).await;
    let page = format!("/console/accounts/{id}");
    let make = format!("{page}/invite");
    let token_of =
        |text: String| text.split("/console/invite#").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let first = token_of(browser.send(&app, &page, &make, &[]).await.text());
    let second = token_of(browser.send(&app, &page, &make, &[]).await.text());
    let accept = "/console/invite";
    let fields = |token: &str| {
        [("token", token.to_owned()), ("password", PASSWORD.to_owned()), ("again", PASSWORD.to_owned())]
    };
    for (token, status) in [(&first, 422), (&second, 303), (&second, 422)] {
        let fields = fields(token);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = Browser::default().send(&app, accept, accept, &fields).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(!answer.text().contains(token.as_str()));
    }
    let mut member = signed_in(&app, "member").await;
    let theirs = format!("/console/accounts/{}/invite", app.root);
    assert_eq!(member.send(&app, "/console/keys/new", &theirs, &[]).await.status, 403);
    let own = browser.send(&app, &page, &theirs, &[]).await;
    assert_eq!(own.status, 422);
}

#[tokio::test]
async fn channels_say_what_became_of_the_latest_attempts() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    assert!(!browser.get(&app, "/console/channels").await.text().contains("attempts"));
    app.chat(&app.key, &question("m")).await;
    app.provider.script("m", Script { status: Some(500), ..Script::default() });
    app.chat(&app.key, &question("m")).await;
    let text = browser.get(&app, "/console/channels").await.text();
    assert!(text.contains("50 % failed") && text.contains("⌀"), "{text}");
}

#[tokio::test]
async fn the_dashboard_names_the_keys_that_need_attention_and_why() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let soon = crate::app::now().secs() + 86_400;
    // A model that costs a unit is covered by what does not cover another.
    for (name, quota, expires, models) in
        [("empty", 0, -1, ""), ("ending", 9, soon, ""), ("scraps", 9, -1, "m"), ("calm", 9, soon * 2, "")]
    {
        let limited = !models.is_empty();
        let key = json!({"name": name, "remain_quota": quota, "expired_time": expires,
            "model_limits_enabled": limited, "model_limits": models});
        assert_eq!(app.manage("POST", "/api/token", Some(key)).await.json()["success"], true);
    }
    app.provider.script("m", Script { status: Some(400), ..Script::default() });
    for _ in 0..5 {
        app.chat(&app.key, &question("m")).await;
    }
    app.ledger.idle().await;
    let page = browser.get(&app, "/console?days=7").await.text();
    assert!(
        page.contains("hx-get=\"/console?days=7&amp;whole=1\"") && !page.contains("<rect class=\"slot\""),
        "{page}"
    );
    let text = browser.get(&app, "/console?days=7&whole=1").await.text();
    let attention = text.split("id=\"attention-title\"").nth(1).unwrap().split("</section>").next().unwrap();
    for expected in ["empty", "nothing remains", "ending", "ends soon", "scraps", ">root<", "refused often"] {
        assert!(attention.contains(expected), "{expected}: {attention}");
    }
    assert!(!attention.contains("calm"));
    assert_eq!(attention.matches("too little for all but the smallest requests").count(), 1, "{attention}");
    assert_eq!(text.matches("<rect class=\"slot\"").count(), 7);
    let usual = browser.get(&app, "/console?days=8&whole=1").await.text();
    assert_eq!(usual.matches("<rect class=\"slot\"").count(), 30);
}

#[tokio::test]
async fn the_live_view_follows_for_a_bounded_time() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    app.chat(&app.key, &question("m")).await;
    let text = browser.get(&app, "/console/usage?model=m&live=2").await.text();
    assert!(text.contains("hx-get=\"/console/usage?model=m&#38;live=1\" hx-trigger=\"every 3s\""), "{text}");
    assert!(text.contains("Answered"));
    let most = browser.get(&app, "/console/usage?live=999999").await.text();
    assert!(most.contains("live=199"));
    let over = browser.get(&app, "/console/usage?live=0").await.text();
    assert!(over.contains("has ended after ten minutes") && !over.contains("hx-trigger=\"every"));
}

#[tokio::test]
async fn prices_show_what_is_charged_apart_and_what_begins_later() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let price = json!({"model": "rich", "input": 1_000_000, "output": 2_000_000, "max_output": 9, "input_audio": 5_000_000,
        "tiers": [{"above": 200_000, "input": 3_000_000, "output": 4_000_000}]});
    let put = app.manage("PUT", "/api/price", Some(price)).await.json();
    assert_eq!(put["success"], true, "{put}");
    let later = crate::app::now().secs() + 86_400;
    let price = json!({"model": "rich", "input": 7_500_000, "output": 2_000_000, "max_output": 9, "effective": later});
    let put = app.manage("PUT", "/api/price", Some(price)).await.json();
    let text = browser.get(&app, "/console/prices").await.text();
    for expected in ["Sound", "$10.00 / $4.00", "from 200,000 input tokens on", "$6.00 / $8.00"] {
        assert!(text.contains(expected), "{expected}: {put}");
    }
    assert!(text.contains("Prices that begin later") && text.contains("$15.00"), "{put}");
}
