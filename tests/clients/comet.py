"""CometAPI's own command line and library against a running gateway. The host of the account calls is a constant of
the program, so it is set before the program runs."""

import sys

import cometapi_cli.client as client

client.COMETAPI_DASHBOARD_BASE = sys.argv[1]

from cometapi_cli.app import app  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

for command in [
    ["doctor"],
    ["models"],
    ["models", "--source", "openai"],
    ["model", "info", "apsis-demo"],
    ["tokens"],
    ["tokens", "--search", "demo"],
    ["account"],
    ["balance", "--source", "account"],
    ["balance", "--source", "key"],
    ["run", "-e", "chat", "apsis-demo", "-p", "Hello"],
    ["chat", "-m", "apsis-demo", "Hello"],
    ["chat", "-m", "apsis-demo", "--no-stream", "Hello"],
]:
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, (command, result.output, result.exception)
    print("cometapi", *command)

import csv  # noqa: E402
import io  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import time  # noqa: E402
import urllib.request  # noqa: E402


def printed(*command):
    result = CliRunner().invoke(app, list(command))
    assert result.exit_code == 0, (command, result.output, result.exception)
    print("cometapi", *command)
    return result.stdout


def logs(*filters):
    return json.loads(printed("logs", "--json", *filters))


# What was called above, as the logs have it.
everything = logs("--limit", "100")
assert len(everything) >= 3 and all(log["type"] == "consume" for log in everything), everything
newest = everything[0]
assert newest["model"] == "apsis-demo" and newest["endpoint"] == "/v1/chat/completions", newest
assert newest["quota"] > 0 and newest["prompt_tokens"] > 0 and newest["time"], newest
question = urllib.request.Request(
    sys.argv[1] + "/v1/chat/completions",
    headers={"Authorization": "Bearer " + os.environ["COMETAPI_KEY"], "Content-Type": "application/json"},
    data=json.dumps({"model": "apsis-demo", "messages": [{"role": "user", "content": "Hello"}]}).encode(),
)
with urllib.request.urlopen(question) as asked:
    id = asked.headers["x-cometapi-request-id"]
    tokens = json.load(asked)["usage"]["completion_tokens"]
found = json.loads(printed("logs", "--request-id", id, "--json"))
assert found["request_id"] == id and found["completion_tokens"] == tokens, found
printed("logs", "--request-id", id)
name = found["token_name"]
count = len(everything) + 1
# Other clients have called other models before.
chats = sum(log["model"] == "apsis-demo" for log in everything) + 1
later = str(int(time.time()) + 3600)
for filters, expected in [
    (["--model", "apsis-demo"], chats),
    (["--model", "nothing"], 0),
    (["--token-name", name], count),
    (["--token-name", "nothing"], 0),
    (["--type", "consume"], count),
    (["--type", "topup"], 0),
    (["--type", "error"], 0),
    (["--group", "default"], count),
    (["--group", "nothing"], 0),
    (["--start", "2020-01-01", "--end", later], count),
    (["--start", later], 0),
    (["--end", "2020-01-01T00:00:00"], 0),
    (["--limit", "2"], 2),
    (["--limit", "2", "--page", "2"], min(2, count - 2)),
]:
    found_by = logs(*([] if "--limit" in filters else ["--limit", "100"]), *filters)
    assert len(found_by) == expected, (filters, expected, len(found_by))
printed("logs")
printed("logs", "--detail")
rows = list(csv.DictReader(io.StringIO(printed("logs", "--export", "--model", "apsis-demo"))))
assert len(rows) == chats and rows[0]["request_id"] == id, rows
assert int(rows[0]["quota"]) == found["quota"], (rows[0], found)
month = json.loads(printed("stats", "--json"))
assert month["month_req_count"] == count and month["month_success_rate"] == 100, month
printed("stats")
printed("tasks")
comet = client.CometClient(access_token=os.environ["COMETAPI_ACCESS_TOKEN"])
assert comet.search_logs(id)["data"]["items"][0]["request_id"] == id
assert comet.get_log_stat(model_name="apsis-demo")["data"]["quota"] == sum(int(row["quota"]) for row in rows)
# The token is the root account's: an operator.
assert len(json.loads(printed("ops", "logs", "--model", "apsis%", "--limit", "100", "--json"))) == count
used = json.loads(printed("ops", "usage", "--user-id", str(found["user_id"]), "--json"))
assert used["request_count"] == count and used["source"] == "data_cache", used
used = json.loads(printed("ops", "usage", "--token-name", name, "--json"))
charged = sum(log["quota"] for log in everything) + found["quota"]
assert used["quota"] == charged and used["source"] == "log_stat", (used, charged)
account = str(found["user_id"])
assert json.loads(printed("ops", "search", account, "--json"))["username"] == "root"
assert json.loads(printed("ops", "topups", "--json")) == []
month = time.strftime("%Y-%m", time.gmtime(time.time() + 8 * 3600))
summary = json.loads(printed("ops", "summary", "--user-id", account, "--month", month, "--json"))
assert summary["topups"]["count"] == 0 and summary["account"]["username"] == "root", summary

# The catalogue that comes along, with every filter.
def models(*filters):
    return json.loads(printed("models", "--json", "--no-cache", *filters))


catalogue = models()
ids = {row["id"] for row in catalogue}
assert len(ids) > 30 and {"apsis-demo", "apsis-demo-embedding", "gpt-6-astra", "claude-haiku-5-5"} <= ids, ids


def kept(*filters):
    rows = models(*filters)
    assert {row["id"] for row in rows} <= ids, (filters, rows)
    return rows


for filters, fits in [
    (["--search", "HAIKU"], lambda row: "haiku" in row["id"]),
    (["--provider", "anthropic"], lambda row: row["provider"] == "Anthropic"),
    (["--provider", "google,xai"], lambda row: row["provider"] in ("Google", "xAI")),
    (["--type", "embedding"], lambda row: row["model_type"] == "embedding"),
    (["--modality", "text"], lambda row: row["model_type"] == "text"),
    (["--feature", "vision"], lambda row: "vision" in row["features"]),
    (["--capability", "structured,vision"], lambda row: "vision" in row["features"] or "structured" in row["features"]),
    (["--endpoint", "embeddings"], lambda row: row["endpoints"] == "embeddings"),
    (["--endpoint", "/v1/chat/completions"], lambda row: "openai" in row["endpoints"]),
    (["--provider", "openai", "--type", "text", "--feature", "reasoning"], lambda row: row["provider"] == "OpenAI"),
]:
    found = kept(*filters)
    assert 0 < len(found) < len(catalogue) and all(map(fits, found)), (filters, found)
assert len(kept("--limit", "3")) == 3
assert kept("--search", "no such model") == []
for shown in ["table", "yaml", "csv", "markdown"]:
    printed("models", "--format", shown, "--refresh")
astra = json.loads(printed("model", "info", "gpt-6-astra", "--json", "--no-cache"))
assert astra["pricing"]["input"] == 10 and astra["pricing"]["tiers"][0]["above"] == 272000, astra
assert astra["context_length"] == 1050000 and astra["max_completion_tokens"] == 128000, astra
assert "$10.0/M" in printed("model", "info", "gpt-6-astra", "--no-cache")
# A code has dashes where the id has dots.
assert json.loads(printed("model", "info", "gpt-4.1", "--json", "--no-cache"))["code"] == "gpt-4-1"
served = json.loads(printed("models", "--source", "openai", "--search", "demo", "--json"))
assert {row["id"] for row in served} == {"apsis-demo", "apsis-demo-image", "apsis-demo-embedding"}, served

import cometapi  # noqa: E402

answer = cometapi.CometAPI().chat.completions.create(
    model="apsis-demo", messages=[{"role": "user", "content": "Hello"}]
)
assert answer.choices[0].message.content.startswith("Hello from Apsis!"), answer
print("cometapi for Python")
