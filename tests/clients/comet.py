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

import cometapi  # noqa: E402

answer = cometapi.CometAPI().chat.completions.create(
    model="apsis-demo", messages=[{"role": "user", "content": "Hello"}]
)
assert answer.choices[0].message.content.startswith("Hello from Apsis!"), answer
print("cometapi for Python")
