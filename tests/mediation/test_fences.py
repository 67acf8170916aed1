"""Fences around the whole application: what must be true of every route, every error, every file."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate
from werkzeug.routing import Rule

import mediation
from mediation import docket, sandbox
from mediation.api.actions import ACTIONS, UNTAKEN
from mediation.errors import MediationError, every_error, status_of
from mediation.operations.firing import FIRES
from tests.mediation.conftest import make_services
from tests.mediation.story import PEOPLE, Story
from workflows import deadlines, procedure
from workflows.policies import SilenceFires
from workflows.states import TOKEN_ROLES, Role
from workflows.steps import STEPS

PACKAGE = Path(mediation.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
#: Routes of the libraries that serve the description and the page to browse it; they hold nothing of anybody's.
LIBRARIES = {"/v1/openapi.json", "/docs/", "/docs/<path:path>"}
#: Routes that ask for no token, and why.
OPEN = {
    "/healthz": "public",  # A load balancer has no token.
    "/readyz": "public",
    "/v1/gateway/callbacks": "signed",  # The gateway's signature stands in for it.
}


# --- routes ------------------------------------------------------------------------------------------------------


def _rules(story: Story) -> list[Rule]:
    return [rule for rule in story.app.url_map.iter_rules() if rule.rule not in LIBRARIES]


def _permission(story: Story, rule: Rule) -> Any:
    return getattr(story.app.view_functions[rule.endpoint], "permission", None)


def _methods(rule: Rule) -> set[str]:
    return set(rule.methods or ()) - {"HEAD", "OPTIONS"}


def _path(rule: Rule) -> str:
    return re.sub(r"<[^>]+>", "01900000-0000-7000-8000-000000000000", rule.rule)


def test_every_route_says_who_may_call_it(shared: Story) -> None:
    rules = _rules(shared)
    assert len(rules) > 40
    for rule in rules:
        permission = _permission(shared, rule)
        if rule.rule in OPEN:
            assert permission == OPEN[rule.rule], rule
        else:
            assert isinstance(permission, frozenset), rule
            assert permission, rule
            assert permission <= set(TOKEN_ROLES), rule


def test_the_routes_without_a_token_are_these_and_no_others(shared: Story) -> None:
    found = {rule.rule for rule in _rules(shared) if not isinstance(_permission(shared, rule), frozenset)}
    assert found == OPEN.keys()
    served = {rule.rule for rule in shared.app.url_map.iter_rules() if _permission(shared, rule) is None}
    assert served == LIBRARIES


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer x.y.z", "Basic cm9vdDpyb290", "bearer null"], ids=repr
)
def test_every_route_without_a_good_token_answers_401(shared: Story, header: str | None) -> None:
    """Before anything else is looked at: no id, body or method of the route tells a stranger anything."""
    tried = 0
    for rule in _rules(shared):
        if rule.rule in OPEN:
            continue
        for method in _methods(rule):
            headers = {} if header is None else {"Authorization": header}
            response = shared.client.open(_path(rule), method=method, headers=headers, data=b"{not json")
            assert response.status_code == 401, (method, rule)
            assert response.mimetype == "application/problem+json"
            assert response.get_json()["code"] == "unauthenticated"
            assert response.headers["WWW-Authenticate"] == "Bearer"
            tried += 1
    assert tried > 40


def test_a_callback_without_a_signature_answers_401(shared: Story) -> None:
    response = shared.post("platform", "/gateway/callbacks", {})
    assert (response.status_code, response.get_json()["code"]) == (401, "bad_signature")


#: role -> the person of the story who has it
WHO = {role: next(who for who, person in PEOPLE.items() if person[0] == role) for role in TOKEN_ROLES}


@pytest.fixture(scope="module")
def sandboxed(shared: Story) -> Iterator[Story]:
    """The same deployment as a sandbox."""
    services = make_services(replace(shared.services.settings, sandbox=True))
    yield Story(mediation.create_app(services.settings, services), services)
    services.engine.dispose()


def test_every_route_refuses_the_roles_it_does_not_name(sandboxed: Story) -> None:
    """On a real case and exhibit, and in a sandbox, so that neither 404 nor the body stands before it."""
    case = sandboxed.at("opened")
    filed = sandboxed.client.post(
        f"/v1/cases/{case}/exhibits",
        headers=sandboxed.headers("buyer"),
        json={
            "kind": "chat_log",
            "timezone": "UTC",
            "messages": [{"sender": {"role": "buyer", "id": "b", "name": "b"}, "text": "hello"}],
        },
    ).get_json()
    order = sandboxed.get("platform", f"/cases/{case}").get_json()["order"]["id"]
    tried, of_sandbox = 0, 0
    for rule in _rules(sandboxed):
        permission = _permission(sandboxed, rule)
        if rule.rule in OPEN or permission == frozenset(TOKEN_ROLES):
            continue
        path = rule.rule.replace("<case_id>", case).replace("<exhibit_id>", filed["id"]).replace("<order_id>", order)
        path = path.replace("<interest_id>", "01900000-0000-7000-8000-000000000000")
        for role in set(TOKEN_ROLES) - permission:
            for method in _methods(rule):
                response = sandboxed.client.open(path, method=method, headers=sandboxed.headers(WHO[role]))
                assert response.status_code == 403, (role, method, rule)
                assert response.get_json()["code"] == "not_permitted"
                tried, of_sandbox = tried + 1, of_sandbox + ("sandbox" in rule.rule)
    assert (tried >= 40, of_sandbox) == (True, 2 * (len(TOKEN_ROLES) - 1))


@pytest.mark.parametrize("role", TOKEN_ROLES)
@pytest.mark.parametrize(
    ("path", "body"), [("/sandbox/clock", {"advance": "P2D"}), ("/sandbox/gateway", {"mode": "fail"})]
)
def test_a_deployment_that_is_no_sandbox_has_nothing_of_one_for_anybody(
    shared: Story, role: Role, path: str, body: dict[str, str]
) -> None:
    before = shared.services.clock()
    response = shared.post(WHO[role], path, body)
    assert (response.status_code, response.get_json()["code"]) == (404, "not_found")
    assert shared.services.clock() - before < timedelta(days=1)
    with shared.services.sessions.begin() as session:
        assert (sandbox.ahead(session), sandbox.gateway_mode(session)) == (timedelta(0), "pass")


def test_every_route_under_a_case_hides_it_from_another_party_and_another_marketplace(shared: Story) -> None:
    case = shared.at("opened")
    elsewhere = {"Authorization": f"Bearer {shared.token('supervisor', 'other-market')}"}
    tried = 0
    for rule in _rules(shared):
        if "<case_id>" not in rule.rule:
            continue
        path = rule.rule.replace("<case_id>", case)
        for headers in (shared.headers("other_buyer"), shared.headers("other_seller"), elsewhere):
            for method in _methods(rule):
                response = shared.client.open(path, method=method, headers=headers, json=None)
                assert (response.status_code, response.get_json()["code"]) == (404, "not_found"), (method, rule)
                tried += 1
    assert tried > 60


def test_a_case_id_that_is_no_uuid_is_not_there(shared: Story) -> None:
    for rule in _rules(shared):
        if "<case_id>" in rule.rule:
            path = rule.rule.replace("<case_id>", "not-a-uuid")
            for method in _methods(rule):
                response = shared.client.open(path, method=method, headers=shared.headers("platform"))
                assert response.status_code == 404, (method, rule)
                assert response.get_json()["errors"] == {"case_id": ["Must be a UUID."]}


def test_an_address_that_is_not_there_is_a_problem_too(shared: Story) -> None:
    response = shared.get("buyer", "/nothing")
    assert (response.status_code, response.mimetype) == (404, "application/problem+json")
    response = shared.client.delete("/v1/cases", headers=shared.headers("buyer"))
    assert (response.status_code, response.get_json()["code"]) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= set(response.headers["Allow"].replace(" ", "").split(","))


# --- actions -----------------------------------------------------------------------------------------------------


def test_every_action_has_its_route_and_every_route_its_action(shared: Story) -> None:
    prefix = "/v1/cases/<case_id>/actions/"
    routes = {rule.rule.removeprefix(prefix) for rule in _rules(shared) if rule.rule.startswith(prefix)}
    assert routes == set(procedure.ACTIONS) == set(docket.actions())
    assert ACTIONS.keys() | set(UNTAKEN) == routes
    assert not ACTIONS.keys() & set(UNTAKEN)
    for rule in _rules(shared):
        if rule.rule.startswith(prefix):
            assert _methods(rule) == {"POST"}


def test_the_actions_no_token_takes_are_those_the_procedure_leaves_to_machines() -> None:
    machines = {Role.CLOCK, Role.GATEWAY, Role.SYSTEM}
    left = {step.action for step in STEPS} - {step.action for step in STEPS if set(step.by) - machines}
    assert (
        left
        == set(UNTAKEN)
        == {
            "conclude_inspection",
            "conclude_performance",
            "default_evidence",
            "evidence_complete",
            "expire_offer",
            "fail_refund",
            "finalise",
            "lapse",
            "raise_level",
            "refund_in_place",
            "settle_refund",
        }
    )


def test_whatever_a_clock_can_fire_is_known_to_the_one_that_fires_it() -> None:
    """Each name that a deadline of some state fires has its function, its row for the clock, and nothing more has."""
    fired = {fires for _, fires in deadlines._CLOCKS.values() if fires not in (None, deadlines.BY_POLICY)}
    fired |= {str(one) for one in SilenceFires} | {"conclude_performance"}
    assert FIRES.keys() == fired
    of_clock = {step.action for step in STEPS if Role.CLOCK in step.by}
    assert of_clock == fired


def test_what_a_case_offers_leads_to_a_route(shared: Story) -> None:
    case = shared.at("negotiating")
    adapter = shared.app.url_map.bind("localhost")
    for role in TOKEN_ROLES:
        for action in shared.get(WHO[role], f"/cases/{case}").get_json()["actions"]:
            endpoint, path = adapter.match(action["href"], method=action["method"])
            assert path == {"case_id": case}
            assert endpoint.startswith("actions.")


# --- the description ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spec(shared: Story) -> dict[str, Any]:
    found: dict[str, Any] = shared.client.get("/v1/openapi.json").get_json()
    return found


def _operations(spec: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in spec["paths"].items():
        for method, operation in methods.items():
            if method in ("get", "put", "post", "delete", "patch"):
                yield path, method, operation


def test_the_description_is_valid_openapi_3_1(spec: dict[str, Any]) -> None:
    assert spec["openapi"].startswith("3.1")
    validate(spec)


def test_the_validator_can_refuse(spec: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="responses"):
        validate(spec | {"paths": {"/x": {"get": {"responses": "none"}}}})


def test_every_route_is_described_and_every_description_has_its_route(shared: Story, spec: dict[str, Any]) -> None:
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in _rules(shared)
        for method in _methods(rule)
    }
    assert {(path, method) for path, method, _ in _operations(spec)} == routes


def test_every_operation_has_an_id_of_its_own_a_summary_and_a_problem(spec: dict[str, Any]) -> None:
    operations = list(_operations(spec))
    ids = Counter(operation["operationId"] for *_, operation in operations)
    assert [name for name, times in ids.items() if times > 1] == []
    for path, method, operation in operations:
        assert re.fullmatch(r"[a-z][A-Za-z]+", operation["operationId"]), (path, method)
        assert operation["summary"], (path, method)
        assert operation["responses"]["default"] == {"$ref": "#/components/responses/Problem"}, (path, method)
        assert any(status.startswith("2") for status in operation["responses"]), (path, method)


def test_every_action_has_one_path_with_its_own_operation(spec: dict[str, Any]) -> None:
    paths = {path: operation["operationId"] for path, _, operation in _operations(spec) if "/actions/" in path}
    assert {path.rpartition("/")[2] for path in paths} == set(procedure.ACTIONS)
    for path, operation in paths.items():
        name = path.rpartition("/")[2]
        assert operation.lower() == name.replace("_", "")


def test_the_description_says_which_routes_need_a_token(spec: dict[str, Any]) -> None:
    for path, method, operation in _operations(spec):
        assert operation["security"] == ([] if path in OPEN else [{"bearer": []}]), (path, method)


def test_what_a_docket_entry_is_hashed_over_is_described(spec: dict[str, Any]) -> None:
    """Whoever checks the chain needs every field of evidence.chain, `from` included."""
    described = spec["components"]["schemas"]["DocketEntry"]["properties"]
    assert {"v", "case", "seq", "prev", "at", "type", "from", "to", "commitments", "hash"} <= described.keys()


def test_the_description_can_be_browsed(shared: Story) -> None:
    response = shared.client.get("/docs/")
    assert (response.status_code, response.mimetype) == (200, "text/html")
    response.close()


# --- errors ------------------------------------------------------------------------------------------------------

#: docs/api.md, "Errors": what a client may meet. A 500 is never one of them.
STATUSES = {400, 401, 403, 404, 409, 410, 412, 413, 415, 422, 429, 503}
ERRORS = sorted(every_error(), key=lambda error: error.__name__)


def test_the_errors_are_all_found() -> None:
    def below(kind: type[MediationError]) -> Iterator[type[MediationError]]:
        for error in kind.__subclasses__():
            yield error
            yield from below(error)

    assert set(ERRORS) == set(below(MediationError))
    assert len(ERRORS) >= 16


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_an_error_has_a_status_of_the_contract_and_a_sentence_of_its_own(error: type[MediationError]) -> None:
    assert "status" in vars(error), "a status that is inherited is one that was forgotten"
    assert error.status in STATUSES
    assert status_of(error()) == error.status
    sentence = (vars(error).get("__doc__") or "").strip()
    assert sentence.endswith("."), error
    assert error().detail == sentence
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error().code)


def test_an_error_nobody_foresaw_is_a_500_without_a_word_about_it() -> None:
    assert status_of(RuntimeError("secret")) == 500


def test_every_error_has_a_code_of_its_own() -> None:
    codes = Counter(error().code for error in ERRORS)
    assert [code for code, times in codes.items() if times > 1] == []


# --- files -------------------------------------------------------------------------------------------------------

#: Who may look at the environment beside mediation/settings.py, and why.
READS_THE_ENVIRONMENT = {
    "supervision/parent.py": "a child learns from its supervisor's pid, which is no setting, when to die",
    "supervisor.py": "children are given the environment as it is, with what they need added",
    "embedded/postmaster.py": "PostgreSQL's own tools must not see the PG* variables of whoever started us",
}
#: Who may begin a transaction: the doors through which something comes in, and the work done outside a request.
BEGINS_A_TRANSACTION = {
    "api/calls.py": "every request",
    "api/exhibits.py": "an upload looks at its case before the bytes are read, and a download before they are sent",
    "api/gateway.py": "a callback",
    "api/sandbox.py": "time is moved on from one due moment to the next, and the gateway is told how to behave",
    "auditing/rounds.py": "each case and each page of orders that is audited, read only, in one snapshot",
    "api/dossier.py": "a case file's case is looked at before the file is made",
    "cli/dossier.py": "the case that is named is looked up",
    "dossiers.py": "that a case file was made is entered before its snapshot is read",
    "erasure.py": "which bytes are left is looked at, and each that is gone is noted",
    "services.py": "the sealing key and the policies are published when a process starts; a sandbox's time is read",
    "clock.py": "each deadline that is fired, and what is written down of one that failed; each clock that was missing",
    "cli/clock.py": "what is due is looked at; what was set aside is tried again",
    "cli/policies.py": "a version is loaded, or looked at; each case whose clocks are counted anew",
    "gateways.py": "a payment into the ledger; what an order is called, before the network is asked",
    "paying.py": "one try of a refund",
    "worker.py": "each batch of answers that are forgotten; when the next deadline is due; policies written anew",
    "demo/data.py": "the demo's data, all of them or none",
}
#: Who may catch whatever is raised, and why. Nobody may do so and say nothing.
CATCHES_ANYTHING = {
    "clock.py": "a deadline that fails for whatever reason is written down, and must not keep the next one waiting",
    "cli/dossier.py": "a case file that is not whole is taken away, and the error goes on",
    "dossiers.py": "a case file that is not whole is let go of, and the error goes on",
    "demo/data.py": "files that no case names any more are taken away, and the error goes on",
    "embedded/server.py": "a start in a thread of its own raises where its result is asked for, and is waited for",
    "paying.py": "a refund that cannot be settled for a defect of ours goes to people, and the error goes on",
    "worker.py": "the outermost place that knows which job it was",
}
#: Who may take back what was written, and why. To commit is nobody's: `with sessions.begin()` does.
TAKES_BACK = {"api/actions.py": "a rehearsal is done for real and undone, inside the request's own transaction"}


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def _nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def _dotted(node: ast.AST) -> str:
    """`os.environ.get` for the expression that says so; what is not a name is an empty part."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _reads_environment(tree: Iterator[ast.AST]) -> bool:
    for node in tree:
        if isinstance(node, ast.Attribute) and _dotted(node) in ("os.environ", "os.getenv", "os.environb"):
            return True
        if isinstance(node, ast.ImportFrom) and (
            node.module == "environs" or (node.module == "os" and {"environ", "getenv"} & {n.name for n in node.names})
        ):
            return True
        if isinstance(node, ast.Import) and any(name.name == "environs" for name in node.names):
            return True
    return False


def test_only_the_settings_read_the_environment() -> None:
    found = {_name(path) for path in FILES if _reads_environment(_nodes(path))}
    assert found == {"settings.py", *READS_THE_ENVIRONMENT}


@pytest.mark.parametrize(
    "planted",
    [
        "import os\nos.environ['HOST']",
        "import os\nos.getenv('HOST')",
        "from os import environ",
        "from environs import Env",
    ],
)
def test_reading_the_environment_would_be_seen(planted: str) -> None:
    assert _reads_environment(ast.walk(ast.parse(planted)))


def _calls(tree: Iterator[ast.AST]) -> Iterator[str]:
    for node in tree:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node.func.attr


def test_nobody_commits() -> None:
    assert [_name(path) for path in FILES if "commit" in _calls(_nodes(path))] == []
    assert "commit" in _calls(ast.walk(ast.parse("session.commit()")))


def test_only_a_rehearsal_takes_back_what_was_written() -> None:
    found = {_name(path) for path in FILES if {"rollback", "begin_nested"} & set(_calls(_nodes(path)))}
    assert found == TAKES_BACK.keys()


def test_transactions_begin_at_the_doors_and_nowhere_else() -> None:
    found = {
        _name(path)
        for path in FILES
        for node in _nodes(path)
        if isinstance(node, ast.Call)
        and _dotted(node.func).endswith(("sessions.begin", "Session.begin", "engine.begin"))
    }
    assert found == BEGINS_A_TRANSACTION.keys()
    assert all("begin" not in _calls(_nodes(path)) for path in FILES if _name(path).startswith("operations/"))
    assert "begin" not in _calls(_nodes(PACKAGE / "docket.py"))


def _catches_anything(tree: Iterator[ast.AST]) -> Iterator[ast.ExceptHandler | ast.withitem]:
    """Every handler that takes any exception there is, and every `suppress` of the same kind."""
    broad = {"Exception", "BaseException"}
    for node in tree:
        if isinstance(node, ast.ExceptHandler):
            named = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if any(one is None or _dotted(one) in broad for one in named):
                yield node
        if isinstance(node, ast.withitem) and isinstance(node.context_expr, ast.Call):
            called = node.context_expr
            if _dotted(called.func).endswith("suppress") and broad & {_dotted(one) for one in called.args}:
                yield node


def _is_silent(found: ast.ExceptHandler | ast.withitem) -> bool:
    """Whether what was caught is neither raised again nor handed to somebody."""
    if isinstance(found, ast.withitem):
        return True
    inner = [node for statement in found.body for node in ast.walk(statement)]
    return not any(isinstance(node, ast.Raise) for node in inner) and not any(
        isinstance(node, ast.Name) and node.id == found.name for node in inner
    )


def test_whatever_is_raised_is_caught_where_there_is_a_reason_and_never_in_silence() -> None:
    found = {_name(path): list(_catches_anything(_nodes(path))) for path in FILES}
    assert {name for name, caught in found.items() if caught} == CATCHES_ANYTHING.keys()
    assert [name for name, caught in found.items() if any(_is_silent(one) for one in caught)] == []


@pytest.mark.parametrize(
    "planted",
    [
        "try:\n    act()\nexcept Exception:\n    pass",
        "try:\n    act()\nexcept:\n    log('failed')",
        "try:\n    act()\nexcept (ValueError, BaseException) as error:\n    return None",
        "with contextlib.suppress(Exception):\n    act()",
    ],
)
def test_swallowing_whatever_is_raised_would_be_seen(planted: str) -> None:
    [found] = _catches_anything(ast.walk(ast.parse(planted)))
    assert _is_silent(found)


#: The state of a case, and what only the docket derives from it.
DERIVED = {"state", "version", "head", "waiting_on", "queue"}


def _writes_state(tree: Iterator[ast.AST]) -> Iterator[str]:
    """Every way to set such an attribute: by assignment, by name, in a constructor, in a statement."""
    for node in tree:
        targets = node.targets if isinstance(node, ast.Assign) else []
        if isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        for target in targets:
            for one in ast.walk(target):
                if isinstance(one, ast.Attribute) and one.attr in DERIVED and isinstance(one.ctx, ast.Store):
                    yield f"{_dotted(one)} ="
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else _dotted(node.func)
            if name == "setattr" and isinstance(node.args[1], ast.Constant) and node.args[1].value in DERIVED:
                yield "setattr"
            if name in ("Case", "values"):
                yield from (f"{name}({word.arg}=" for word in node.keywords if word.arg in DERIVED)
            for word in node.keywords:
                if word.arg == "changes" and isinstance(word.value, ast.Dict):
                    keys = {key.value for key in word.value.keys if isinstance(key, ast.Constant)}
                    yield from (f"changes {key}" for key in keys & DERIVED)


def test_only_the_docket_writes_the_state_of_a_case() -> None:
    for path in FILES:
        if _name(path) != "docket.py":
            assert list(_writes_state(_nodes(path))) == [], path
    assert list(_writes_state(_nodes(PACKAGE / "docket.py"))), "the fence sees nothing at all"


@pytest.mark.parametrize(
    "planted",
    [
        "case.state = 'closed'",
        "case.state, other = 'closed', 1",
        "case.version += 1",
        "setattr(case, 'state', 'closed')",
        "update(Case).values(state='closed')",
        "Case(id=1, state='opened')",
        "docket.advance(session, case, 'take', actor, now, changes={'state': 'closed'})",
    ],
)
def test_writing_the_state_would_be_seen(planted: str) -> None:
    assert list(_writes_state(ast.walk(ast.parse(planted))))


def _imports_procedure(tree: Iterator[ast.AST]) -> bool:
    for node in tree:
        if isinstance(node, ast.Import) and any(name.name == "workflows.procedure" for name in node.names):
            return True
        if isinstance(node, ast.ImportFrom):
            if node.module == "workflows.procedure":
                return True
            if node.module == "workflows" and any(name.name == "procedure" for name in node.names):
                return True
    return False


def test_only_the_docket_knows_the_procedure() -> None:
    assert {_name(path) for path in FILES if _imports_procedure(_nodes(path))} == {"docket.py"}


def test_the_time_is_read_at_the_doors_and_nowhere_else() -> None:
    """Time is a parameter: only `services.real_time` asks the machine what day it is, tokens and processes apart."""
    inner = [path for path in FILES if _name(path).startswith(("operations/", "models/")) or _name(path) == "docket.py"]
    assert len(inner) > 10
    for path in inner:
        assert {"now", "utcnow", "today", "time", "monotonic"} & set(_calls(_nodes(path))) == set(), path
