//! What a price is asked for in the console: the first one, and a slip of the pen.

use serde_json::json;

use crate::{
    app::{App, question},
    browser::{Browser, PASSWORD, location, root},
};

#[tokio::test]
async fn the_first_run_leads_to_an_answer() {
    let app = App::start().await;
    // The service of the tests has a token already, which ended the set-up; a fresh one has not.
    let fresh = App::fresh().await;
    assert!(Browser::default().get(&app, "/console/set-up").await.text().contains("is set up already"));
    let mut browser = Browser::default();
    let path = "/console/set-up";
    let wrong = [("token", "pat_wrong"), ("password", PASSWORD), ("again", PASSWORD)];
    assert_eq!(browser.send(&fresh, path, path, &wrong).await.status, 422);
    let short = [("token", "setup"), ("password", "short"), ("again", "short")];
    assert_eq!(browser.send(&fresh, path, path, &short).await.status, 422);
    let differs = [("token", "setup"), ("password", PASSWORD), ("again", "something else")];
    assert_eq!(browser.send(&fresh, path, path, &differs).await.status, 422);
    let right = [("token", "setup"), ("password", PASSWORD), ("again", PASSWORD)];
    assert_eq!(location(&browser.send(&fresh, path, path, &right).await), "/console/set-up/channel");
    // Used once.
    let mut thief = Browser::default();
    let reply = thief.get(&fresh, path).await;
    assert!(reply.text().contains("is set up already"));

    let path = "/console/set-up/channel";
    let url = fresh.provider.url();
    let price = [("model", "m"), ("input", "1"), ("output", "2"), ("max_output", "100")];
    let dead =
        [&[("name", "c"), ("kind", "openai"), ("base_url", "http://127.0.0.1:9"), ("key", "k")][..], &price]
            .concat();
    let refused = browser.send(&fresh, path, path, &dead).await;
    assert_eq!(refused.status, 422);
    assert!(fresh.store.list_channels().await.unwrap().is_empty(), "what does not answer is not kept");
    let alive =
        [&[("name", "c"), ("kind", "openai"), ("base_url", url.as_str()), ("key", "k")][..], &price].concat();
    // Somebody has priced the model already, far from this.
    let before = json!({"model": "m", "input": 1, "output": 1, "max_output": 100});
    let set = fresh.manage_as(&fresh.token(fresh.root).await, "PUT", "/api/price", Some(before)).await;
    assert_eq!(set.json()["success"], true);
    let leap = browser.send(&fresh, path, path, &alive).await;
    assert!(leap.status == 422 && leap.text().contains("name=\"confirm\""), "{}", leap.text());
    assert!(fresh.store.list_channels().await.unwrap().is_empty(), "a channel without a price is not kept");
    let alive = [&alive[..], &[("confirm", "1")]].concat();
    let kept = browser.send(&fresh, path, path, &alive).await;
    assert_eq!(location(&kept), "/console/set-up/key?done=channel_answers");
    let path = "/console/set-up/key";
    let made = browser.send(&fresh, path, path, &[("name", "first"), ("quota", "1.00")]).await;
    let text = made.text();
    let key = text.split("Bearer ").nth(1).unwrap().split('"').next().unwrap();
    let answer = fresh.chat(key, &question("m")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    fresh.verified().await;
}

#[tokio::test]
async fn a_price_that_leaps_is_asked_about_once_more() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let path = "/console/prices";
    assert!(!browser.get(&app, path).await.text().contains("name=\"confirm\""));
    let slip = [("model", "m"), ("input", "20.01"), ("output", "2"), ("max_output", "1000")];
    let asked = browser.send(&app, path, path, &slip).await;
    assert_eq!(asked.status, 422);
    let page = asked.text();
    assert!(page.contains("name=\"confirm\"") && page.contains("value=\"20.01\""), "{page}");
    assert!(page.contains("input would go from 1000000 to 10005000 units"), "{page}");
    let meant = [&slip[..], &[("confirm", "1")]].concat();
    assert_eq!(location(&browser.send(&app, path, path, &meant).await), "/console/prices?done=saved");
    assert!(browser.get(&app, path).await.text().contains("$20.01"));
}

#[tokio::test]
async fn tools_and_service_tiers_are_set_as_they_are_shown() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let path = "/console/prices";
    let price = [("model", "m"), ("input", "2"), ("output", "2"), ("max_output", "1000")];
    let wrong = [&price[..], &[("tools", "telepathy=1")]].concat();
    let refused = browser.send(&app, path, path, &wrong).await;
    assert!(refused.status == 422 && refused.text().contains("no tool telepathy"), "{}", refused.text());
    let (tools, tiers) = ("web_search=0.01, web_fetch=0.00", "priority=2, flex=0.5");
    let right = [&price[..], &[("tools", tools), ("service_tiers", tiers)]].concat();
    assert_eq!(location(&browser.send(&app, path, path, &right).await), "/console/prices?done=saved");
    let known = app.manage("GET", "/api/price?model=m", None).await.json()["data"]["items"][0].clone();
    assert_eq!(known["tools"], json!({"web_search": 5_000_000_000_i64, "web_fetch": 0}));
    assert_eq!(known["service_tiers"], json!({"priority": 2_000_000, "flex": 500_000}));
    let form = browser.get(&app, &format!("{path}?model=m")).await.text();
    assert!(
        form.contains(&format!("value=\"{tools}\"")) && form.contains(&format!("value=\"{tiers}\"")),
        "{form}"
    );
}

#[tokio::test]
async fn videos_and_images_are_priced_as_they_are_shown() {
    let app = App::start().await;
    let mut browser = root(&app).await;
    let path = "/console/prices";
    let price = [("model", "film"), ("input", "0"), ("output", "0"), ("max_output", "1000")];
    for (sizes, said) in [
        ("8k=1", "no size 8k; there are 480p, 720p"),
        ("720p", "`720p` is no name=number"),
        ("720p=-1", "720p must be an amount"),
        ("1080p=1, 1920x1080=2", "1080p is there twice"),
    ] {
        let refused = browser.send(&app, path, path, &[&price[..], &[("sizes", sizes)]].concat()).await;
        let page = refused.text();
        assert!(refused.status == 422 && page.contains(said) && page.contains(sizes), "{page}");
    }
    let (sizes, second, image) = ("720p=0.10, 1080p=0.35", "0.08", "0.000000000246");
    let fields = [("sizes", sizes), ("per_second", second), ("per_image", image)];
    let put = browser.send(&app, path, path, &[&price[..], &fields].concat()).await;
    assert_eq!(location(&put), "/console/prices?done=saved");
    let known =
        async || app.manage("GET", "/api/price?model=film", None).await.json()["data"]["items"][0].clone();
    let set = known().await;
    assert_eq!(set["per_second_by_size"], json!({"720p": 50_000_000_000_i64, "1080p": 175_000_000_000_i64}));
    assert_eq!((&set["per_second"], &set["per_image"]), (&json!(40_000_000_000_i64), &json!(123)));
    let form = browser.get(&app, &format!("{path}?model=film")).await.text();
    for (name, value) in fields {
        assert!(
            form.contains(&format!("name=\"{name}\"")) && form.contains(&format!("value=\"{value}\"")),
            "{form}"
        );
    }
    assert!(form.contains("Second, 1080p"), "the list says it too");
    // What is emptied is gone: from something to nothing is a leap.
    let confirmed = [&price[..], &[("per_second", second), ("confirm", "1")]].concat();
    assert_eq!(location(&browser.send(&app, path, path, &confirmed).await), "/console/prices?done=saved");
    let left = known().await;
    assert_eq!((&left["per_second_by_size"], &left["per_image"]), (&json!({}), &json!(0)));
}
