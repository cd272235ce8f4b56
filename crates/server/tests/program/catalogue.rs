//! Prices and models on the command line, beside a running server.

use crate::process::{Caller, Server, printed, run};

fn refused(arguments: &[&str], data: &std::path::Path) -> String {
    let output = run(arguments, data);
    assert!(!output.status.success(), "{arguments:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test]
async fn a_file_of_prices_is_live_within_a_second_and_a_wrong_one_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&[], &data);
    let base = format!("http://{}/api/model", server.address);
    let caller = Caller::new();
    let shown = async |model: &str| caller.text("GET", &format!("{base}/{model}"), &[], "").await.1;
    assert!(
        shown("claude-haiku-5-5").await.contains("\"provider\":\"Anthropic\""),
        "what comes along is there"
    );

    let file = dir.path().join("prices.toml");
    let path = file.display().to_string();
    let text = "[[model]]\nid = \"mine\"\nprovider = \"Me\"\nmax_output = 100\n\n[[model.price]]\ninput = 1.25\noutput = 10\n";
    std::fs::write(&file, text).unwrap();
    assert_eq!(printed(&["price", "import", &path], &data), "1 models and 1 prices are new\n");
    assert_eq!(printed(&["price", "import", &path], &data), "0 models and 0 prices are new\n");
    assert_eq!(printed(&["price", "import"], &data), "0 models and 0 prices are new\n");
    while !shown("mine").await.contains("\"input\":1.25") {}

    for (from, to, message) in [
        ("1.25", "-1.25", "line 7: input must be a number of US dollars"),
        ("1.25", "nan", "line 7: input must be a number of US dollars"),
        ("1.25", "12.6", "line 1: model mine: input would go from 625000 to 6300000 units for a million"),
        ("max_output", "max_outptu", "line 4: unknown field `max_outptu`"),
    ] {
        std::fs::write(&file, text.replacen(from, to, 1)).unwrap();
        let said = refused(&["price", "import", &path], &data);
        assert!(said.contains(&format!("{path} is refused: {message}")), "{said}");
    }
    let listed = printed(&["price", "list", "--model", "mine"], &data);
    assert_eq!(listed.lines().count(), 2, "the last good one stays: {listed}");
    std::fs::write(&file, text.replacen("1.25", "12.6", 1)).unwrap();
    assert_eq!(printed(&["price", "import", &path, "--confirm"], &data), "0 models and 1 prices are new\n");
    while !shown("mine").await.contains("\"input\":12.6") {}

    // A price that is to come, with all that can be said of one, and is taken back.
    let price = ["--input", "1", "--output", "2", "--max-output", "9", "--effective", "2100-01-01"];
    let tiers =
        ["--tier", "above=1000,input=3,output=4", "--tier", "above=2000,input=5,output=6,cached_input=1"];
    let set = [["price", "set", "mine"].as_slice(), &price, &tiers].concat();
    let said = refused(&set, &data);
    assert!(said.contains("model mine: input would go from 6300000 to 1 units"), "{said}");
    printed(&[set.as_slice(), &["--confirm"]].concat(), &data);
    let listed = printed(&["price", "list", "--model", "mine"], &data);
    let version = listed.lines().nth(1).unwrap().split('\t').next().unwrap().to_owned();
    for start in ["0\t1\t1\t", "1000\t3\t3\t", "2000\t5\t1\t"] {
        assert!(listed.contains(&format!("{version}\t4102444800\tmine\t{start}")), "{listed}");
    }
    printed(&["price", "withdraw", &version], &data);
    assert!(refused(&["price", "withdraw", &version], &data).contains("not found"));

    printed(&["model", "set", "mine", "--type", "embedding", "--features", "a,b"], &data);
    let known = printed(&["model", "list"], &data);
    assert!(known.contains("mine\tMe\tembedding\ta,b\t"), "{known}");
    while !shown("mine").await.contains("\"model_type\":\"embedding\"") {}
    printed(&["model", "forget", "mine"], &data);
    assert!(refused(&["model", "forget", "mine"], &data).contains("cannot forget model mine"));
}

#[tokio::test]
async fn the_list_that_comes_along_may_stay_away() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&["--set", "catalogue.shipped=false"], &data);
    let models = format!("http://{}/api/models", server.address);
    let (_, body) = Caller::new().text("GET", &models, &[], "").await;
    assert!(body.contains("\"total\":0"), "{body}");
}
