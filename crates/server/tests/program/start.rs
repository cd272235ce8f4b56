//! First start, second start, misuse, and a proper end.

use std::{io::Read, os::unix::fs::PermissionsExt};

use crate::process::{Caller, Server, apsis, printed, run};

fn message(output: &std::process::Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn the_first_start_makes_what_it_needs_and_sigterm_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::start(&[], &data);
    assert!(server.address.ip().is_loopback());
    let mode = |name: &str| std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("master.key"), mode(".")), (0o600, 0o700));
    let second = run(&["serve", "--listen", "127.0.0.1:0"], &data);
    assert!(message(&second).contains("another apsis process uses the data directory"));
    let rotate = run(&["key", "rotate-master"], &data);
    assert!(message(&rotate).contains("another apsis process"));
    // A key that is made beside the running server works at once, and is disabled within a second.
    let key = printed(&["key", "create", "--name", "cli"], &data);
    let bearer = format!("Bearer {}", key.trim());
    let url = format!("http://{}/v1/models", server.address);
    let caller = Caller::new();
    assert_eq!(caller.text("GET", &url, &[("authorization", &bearer)], "").await.0, 200);
    printed(&["key", "disable", "1"], &data);
    while caller.text("GET", &url, &[("authorization", &bearer)], "").await.0 != 401 {}
    // A password for the console; one that is too short is none.
    let password = dir.path().join("password").display().to_string();
    let set = ["account", "set-password", "root", "--password-file", &password];
    std::fs::write(&password, "too short\n").unwrap();
    assert!(message(&run(&set, &data)).contains("at least 10 characters"));
    std::fs::write(&password, "a horse, a battery\n").unwrap();
    assert_eq!(printed(&set, &data), "");
    assert!(printed(&["audit", "--object", "password"], &data).contains("command line"));
    // One that was made elsewhere works within a second, also without its prefix.
    let foreign = "0123456789abcdef".repeat(3);
    std::fs::write(dir.path().join("foreign"), format!("sk-{foreign}\n")).unwrap();
    let file = dir.path().join("foreign").display().to_string();
    assert_eq!(printed(&["key", "create", "--key-file", &file], &data), format!("sk-{foreign}\n"));
    let elsewhere = format!("Bearer {foreign}");
    while caller.text("GET", &url, &[("authorization", &elsewhere)], "").await.0 != 200 {}
    assert!(message(&run(&["key", "create", "--key-file", &file], &data)).contains("exists already"));
    assert_eq!(server.terminate(), Some(0));
    assert_eq!(printed(&["ledger", "verify"], &data), "the ledger adds up\n");
    // The master key can be changed while nobody serves, and everything still opens.
    assert!(printed(&["key", "rotate-master"], &data).contains("2 values"));
    printed(&["key", "enable", "1"], &data);
    let server = Server::start(&[], &data);
    let url = format!("http://{}/v1/models", server.address);
    assert_eq!(caller.text("GET", &url, &[("authorization", &bearer)], "").await.0, 200);
}

#[tokio::test]
async fn each_start_offers_a_set_up_token_until_one_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let caller = Caller::new();
    let offered = |server: &mut Server| {
        let said = server.said("setup_token");
        said.split('"').nth(3).unwrap().to_owned()
    };
    let first = offered(&mut Server::start(&[], &data));
    let mut server = Server::start(&[], &data);
    let second = offered(&mut server);
    let base = format!("http://{}/api", server.address);
    let trade = async |token: &str| {
        let body = format!(r#"{{"setup_token":"{token}"}}"#);
        caller.text("POST", &format!("{base}/setup"), &[], &body).await
    };
    let (status, made) = trade(&first).await;
    assert_eq!(status, 200, "the link of an earlier start still works: {made}");
    for used_up in [&first, &second] {
        assert_eq!(trade(used_up).await.0, 401, "one use ends them all");
    }
    let token = made.split("\"access_token\":\"").nth(1).unwrap().split('"').next().unwrap();
    let own = caller.text("GET", &format!("{base}/user/self"), &[("authorization", token)], "").await;
    assert!(own.0 == 200 && own.1.contains("\"role\":100"), "{own:?}");
    server.terminate();
    let mut server = Server::start(&[], &data);
    server.terminate();
    let mut rest = String::new();
    server.out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "there is nothing to set up any more");
}

#[test]
fn misuse_is_refused_with_the_place_and_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    assert!(message(&run(&["check", "--set", "lisen=1"], &data)).contains("did you mean `listen`?"));
    assert!(message(&run(&["key", "list"], &data)).contains("there is no database"));
    let mut with_environment = apsis(&["check"], &data);
    let output = with_environment.env("APSIS_TIMEOUTS_IDLE", "never").output().unwrap();
    assert!(message(&output).contains("environment variable APSIS_TIMEOUTS_IDLE"));
    assert!(printed(&["check"], &data).contains("valid"));
    assert!(printed(&["check", "--set", "stream.keep_alive=0s"], &data).contains("valid"), "0s is never");
    assert!(
        message(&run(&["check", "--set", "timeouts.idle=0s"], &data))
            .contains("`timeouts.idle` must be a time")
    );
    assert!(!data.exists(), "a check makes nothing");
    drop(Server::start(&[], &data));
    std::fs::rename(data.join("master.key"), data.join("elsewhere")).unwrap();
    assert_eq!(printed(&["ledger", "verify"], &data), "the ledger adds up\n");
    let missing = message(&run(&["serve"], &data));
    assert!(missing.contains("master.key is missing") && missing.contains("put the file back"), "{missing}");
    let other = "ab".repeat(32);
    std::fs::write(data.join("master.key"), &other).unwrap();
    let wrong = message(&run(&["serve"], &data));
    assert!(wrong.contains("does not fit this database") && !wrong.contains(&other), "{wrong}");
}

#[tokio::test]
async fn the_demo_answers_streams_and_charges() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(&["--demo"], &dir.path().join("demo"));
    let key = server.greeting.split("API key").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let bearer = format!("Bearer {key}");
    let base = format!("http://{}", server.address);
    let caller = Caller::new();
    let body = r#"{"model":"apsis-demo","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;
    let (status, text) = caller
        .text("POST", &format!("{base}/v1/chat/completions"), &[("authorization", &bearer)], body)
        .await;
    assert!(status == 200 && text.ends_with("data: [DONE]\n\n"), "{text}");
    let (_, usage) =
        caller.text("GET", &format!("{base}/api/usage/token"), &[("authorization", &bearer)], "").await;
    // One word in at 1, 27 words out at 5.
    assert!(usage.contains("\"total_used\":136,\"total_available\":999864"), "{usage}");
    assert_eq!(server.terminate(), Some(0));
}

#[test]
fn a_route_is_explained_without_a_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    drop(Server::start(&[], &data));
    printed(&["key", "create"], &data);
    let add = ["channel", "add", "--name", "first", "--base-url", "http://127.0.0.1:1/v1", "--models", "m"];
    printed(&add, &data);
    let explained = printed(&["route", "explain", "--key", "1", "--model", "m"], &data);
    let expected = "group: default\nrefused: no price is known for model m (400 price_unknown)\n\
                    1. channel 1 (first) in group default, priority 0, weight 1\n";
    assert_eq!(explained, expected);
    let other = printed(&["route", "explain", "--key", "1", "--model", "x"], &data);
    assert!(
        other.contains("503 model_not_found") && other.contains("-  channel 1 (first): it does not serve"),
        "{other}"
    );
    assert!(message(&run(&["route", "explain", "--key", "7", "--model", "x"], &data)).contains("not found"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_and_their_credentials_are_managed_from_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    drop(Server::start(&[], &data));
    let provider = testkit::Provider::start().await.unwrap();
    let key = dir.path().join("key");
    std::fs::write(&key, "sk-kept-secret\n").unwrap();
    let key = key.to_str().unwrap();
    let url = provider.url();
    printed(&["group", "set", "vip", "--ratio", "2"], &data);
    printed(
        &["channel", "add", "--name", "first", "--base-url", &url, "--models", "a,b=c", "--key-file", key],
        &data,
    );
    printed(&["channel", "set", "1", "--priority", "-3", "--weight", "9", "--groups", "vip"], &data);
    let listed = printed(&["channel", "list"], &data);
    assert!(listed.ends_with(&format!("1\t1\t-3\t9\tfirst\topenai\t{url}\tvip\ta,b\n")), "{listed}");
    assert!(message(&run(&["channel", "set", "1", "--base-url", &url], &data)).contains("--key-file"));
    assert_eq!(
        printed(&["channel", "credential", "add", "1", "--key-file", key, "--name", "spare"], &data),
        "2\n"
    );
    printed(&["channel", "credential", "disable", "2"], &data);
    let listed = printed(&["channel", "credential", "list"], &data);
    assert!(listed.ends_with("1\t1\t1\t-\t\n2\t1\t2\t-\tspare\n"), "{listed}");
    printed(&["channel", "credential", "enable", "2"], &data);
    printed(&["channel", "credential", "remove", "2"], &data);
    assert!(
        message(&run(&["channel", "credential", "remove", "2"], &data)).contains("there is no credential 2")
    );

    let tested = printed(&["channel", "test", "1", "--set", "upstream.allow_private=127.0.0.0/8"], &data);
    assert!(tested.starts_with("status 200 in ") && tested.ends_with("model a: it answers\n"), "{tested}");
    let refusing = testkit::Script { status: Some(403), ..testkit::Script::default() };
    provider.script("c", refusing);
    let arguments = ["channel", "test", "1", "--model", "b", "--set", "upstream.allow_private=127.0.0.0/8"];
    let refused = run(&arguments, &data);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stdout).starts_with("status 403 in "));

    printed(&["account", "set-groups", "root", "--further", "vip", "--auto", "default,vip"], &data);
    printed(&["key", "create", "--group", "auto", "--cross-group-retry"], &data);
    assert!(
        message(&run(&["key", "create", "--group", "nowhere"], &data)).contains("no access to group nowhere")
    );
    let explained = printed(&["route", "explain", "--key", "1", "--model", "b"], &data);
    assert!(
        explained.starts_with("groups: default vip (auto: the next when")
            && explained.contains("in group vip")
    );
    let audit = printed(&["audit", "--object", "credential"], &data);
    let actions: Vec<_> = audit.lines().skip(1).map(|line| line.split('\t').nth(2).unwrap()).collect();
    assert_eq!(actions, ["delete", "update", "update", "create"]);
    assert!(!printed(&["audit"], &data).contains("kept-secret"));
}
