"""The official OpenAI client for Python on realtime: events over a websocket, and the usage of each response."""

from openai_chat import client
from way import ANSWER, QUESTION, TOKENS


def conversed(way):
    with client(way).realtime.connect(model=way.model("plain")) as connection:
        assert connection.recv().type == "session.created"
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        assert connection.recv().type == "session.updated"
        for turn in range(2):
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": QUESTION}]}
            connection.conversation.item.create(item=item)
            assert connection.recv().type == "conversation.item.added"
            connection.response.create()
            events = []
            while not events or events[-1].type != "response.done":
                events.append(connection.recv())
            assert events[0].type == "response.created", events
            assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == ANSWER
            usage = events[-1].response.usage
            # Each response is paid for all that was said before it.
            assert (usage.input_tokens, usage.output_tokens) == (TOKENS[0] * (turn + 1) + TOKENS[1] * turn, TOKENS[1]), usage
        connection.send({"type": "nothing"})
        assert connection.recv().type == "error"


CASES = [conversed]
