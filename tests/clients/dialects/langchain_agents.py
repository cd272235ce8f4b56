"""LangChain's clients of both dialects, and an agent of LangGraph that calls a tool until it has its answer."""

from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent
from way import ANSWER, QUESTION, TOKENS


def openai(way, act):
    return ChatOpenAI(base_url=way.origin + "/v1", api_key=way.key, model=way.model(act), max_retries=0)


def responses(way, act):
    return openai(way, act).model_copy(update={"use_responses_api": True})


def anthropic(way, act):
    return ChatAnthropic(base_url=way.origin, api_key=way.key, model=way.model(act), max_tokens=1000, max_retries=0)


def asked(way):
    for client in [openai, responses, anthropic]:
        answer = client(way, "plain").invoke(QUESTION)
        assert answer.text == ANSWER, answer
        used = answer.usage_metadata
        assert (used["input_tokens"], used["output_tokens"]) == TOKENS, answer
        way.books(TOKENS)
        assert "".join(chunk.text for chunk in client(way, "plain").stream(QUESTION)) == ANSWER
        way.books(TOKENS)


def agents(way):
    for client in [openai, responses, anthropic]:
        cities = []

        @tool
        def weather(city: str) -> str:
            """The weather in a city."""
            cities.append(city)
            return "It rains."

        agent = create_react_agent(client(way, "caller"), [weather])
        said = agent.invoke({"messages": [{"role": "user", "content": QUESTION}]})["messages"]
        assert cities == ["scripted"] and said[-1].text.startswith("Hello from Apsis!"), said


CASES = [asked, agents]
