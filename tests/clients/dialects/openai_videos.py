"""The official OpenAI client for Python on videos: jobs that go on after their requests."""

import openai
from openai_chat import client
from way import QUESTION


def videos(way):
    job = client(way).videos.create_and_poll(model=way.model("filmer"), prompt=QUESTION, poll_interval_ms=1)
    assert (job.status, job.progress) == ("completed", 100), job
    assert client(way).videos.download_content(job.id).read() == b"moving pictures"
    other = client(way).videos.remix(job.id, prompt="slower")
    assert other.remixed_from_video_id == job.id, other
    assert client(way).videos.delete(job.id).deleted
    failed = client(way).videos.create_and_poll(model=way.model("spoiler"), prompt=QUESTION, poll_interval_ms=1)
    assert failed.status == "failed" and failed.error.code == "scripted", failed
    way.refused(openai.NotFoundError, lambda: client(way).videos.retrieve("video_0"), 404)


CASES = [videos]
