"""Go, JavaScript and Python read the same strings in what the upstream gets, and moderation saw them."""

import json

import pytest

from tests.security.shapes.carriers import chosen
from tests.security.shapes.decoders import View, build_go, node, python_views, views
from tests.security.shapes.gateway_in_process import LANES, Lane, Outcome, gateway_in_process
from tests.security.shapes.media import media_in
from tests.security.shapes.plants import PHRASE, WORD
from tests.security.shapes.shapes import sampled
from tests.security.shapes.special import with_messages
from tests.security.shapes.test_ordinary import requests_of

EACH_LANE = pytest.mark.parametrize("lane", LANES, ids=lambda lane: lane.name)
SAMPLE = 600


@pytest.fixture(scope="session")
def go_decoder(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The Go program; the first build on a machine compiles Go's own library, about 25 s."""
    return build_go(tmp_path_factory.mktemp("go"))


async def outcomes(lane: Lane, bodies: list[bytes]) -> list[Outcome]:
    """Send bodies; return the outcomes of those that reached the upstream."""
    async with gateway_in_process(lane) as gateway:
        sent = [await gateway.send(body) for body in bodies]
    return [outcome for outcome in sent if outcome.seen.bodies]


def three_views(go_decoder: list[str], bodies: list[bytes]) -> list[tuple[View, View, View]]:
    return list(zip(views(go_decoder, bodies), views(node(), bodies), python_views(bodies), strict=True))


def unseen(view: View, outcome: Outcome) -> list[str]:
    """What of a view is neither moderated text nor a prepared image."""
    moderated = "\n".join(outcome.seen.texts)
    missing = []
    for path, text in view.strings or ():
        marked = any(marker in text and marker not in moderated for marker in (PHRASE, WORD))
        images = [media for media in media_in(text) if media.kind == "image"]
        if marked or (any(each.data not in outcome.seen.images for each in images) and text not in moderated):
            missing.append(path)
    return missing


@pytest.mark.timeout(240)
@EACH_LANE
async def test_three_decoders_agree_on_ordinary_requests(lane: Lane, go_decoder: list[str]) -> None:
    sent = await outcomes(lane, [json.dumps(each.body).encode() for each in requests_of(lane)])
    found = three_views(go_decoder, [outcome.seen.bodies[0] for outcome in sent])

    assert len(found) > 60
    assert [outcome.seen.bodies[0] for outcome, each in zip(sent, found, strict=True) if len(set(each)) > 1] == []
    assert all(each[0].strings for each in found)


@pytest.mark.timeout(240)
@EACH_LANE
async def test_no_decoder_reads_what_moderation_did_not_see(lane: Lane, go_decoder: list[str]) -> None:
    shapes = [shape for shape in sampled(lane.dialect, SAMPLE) if b"plain" not in shape.spelling.encode()]
    hidden = [with_messages(lane.dialect, [carrier.name]) for carrier in chosen("phrase")]
    bodies = [shape.body for shape in shapes] + [json.dumps(body).encode() for body in hidden]
    sent = await outcomes(lane, bodies)
    found = three_views(go_decoder, [outcome.seen.bodies[0] for outcome in sent])
    missed = [
        (name, unseen(view, outcome), outcome.seen.bodies[0][:300])
        for outcome, each in zip(sent, found, strict=True)
        for name, view in zip(("Go", "JavaScript", "Python"), each, strict=True)
        if unseen(view, outcome)
    ]
    apart = [outcome.seen.bodies[0][:300] for outcome, each in zip(sent, found, strict=True) if len(set(each)) > 1]

    assert not missed, f"{len(missed)} of {len(found)}: {missed[:5]}"
    assert not apart, f"{len(apart)} of {len(found)}: {apart[:5]}"


@pytest.mark.timeout(240)
def test_the_go_decoder_reads_keys_in_any_case(go_decoder: list[str]) -> None:
    body = b'{"messages": [{"content": "a"}], "Me\xc5\xbf\xc5\xbfages": [{"CONTENT": "b", "Content": "c"}]}'

    [go_view], [node_view], [python_view] = views(go_decoder, [body]), views(node(), [body]), python_views([body])

    assert go_view.strings == ((".messages[0].content", "c"),)
    assert node_view == python_view == View(((".messages[0].content", "a"),))
    assert views(go_decoder, [b"{"]) == views(node(), [b"{"]) == [View(None)]
