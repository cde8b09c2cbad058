"""Every way to ask for what is not yours, as a table; each refusal beside the same request that is allowed.

The way through the form, links, the API and containers that were left behind is in tests/hub/test_entitlements.py.
"""

from __future__ import annotations

import dataclasses
from datetime import date

import pytest

from bdap_hub.access import (
    Assurance,
    BuildImage,
    CurateCollection,
    DashboardImage,
    EditProject,
    GpuGrant,
    Image,
    ManageMembers,
    Person,
    Policy,
    Project,
    Publish,
    Quota,
    ReadCollection,
    ReadPath,
    Request,
    Requirement,
    Size,
    StoreGrant,
    Usage,
    UseDashboardImage,
    UseGpu,
    UseImage,
    UseProject,
    UseSize,
    ViewDashboard,
    WritePath,
    decide,
)

PIN, OTHER = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
GIB = 2**30
POLICY = Policy(
    projects=(
        Project(
            "forest",
            "Forest",
            "g-forest",
            ("lab", "gpu", "pair"),
            "g-forest-leads",
            sizes=("small", "large"),
            pins=(("lab", PIN),),
            gpus=(GpuGrant("A100", 1), GpuGrant("T4", 2)),
            store=(StoreGrant("/eos/data/plots", True), StoreGrant("/eos/projects/farms")),
            quota=Quota(servers=2, cpus=8, memory=32 * GIB),
            ends=date(2026, 6, 30),
            editable=True,
        ),
        Project("farms", "Farms", "g-farms", ("lab", "gpu", "any"), "g-farms-leads"),
        Project("none", "None", "g-none", ("lab", "any"), gpus=()),
        Project("old", "Old", "g-old", ("lab",), "g-old-leads", ends=date(2026, 3, 31), editable=True),
        Project("kept", "Kept", "g-kept", ("lab",), "g-kept-leads", archived=True, editable=True),
        Project("vault", "Vault", "g-vault", ("lab",), "g-vault-leads", Requirement("high", 600), editable=True),
        Project("woods", "Woods", "g-timber", ("lab",), editable=True),
    ),
    dashboard_images=(DashboardImage("vois", "bdap/vois"), DashboardImage("own", "bdap/own", ("farms",))),
    images=(
        Image("lab", "bdap/lab", "Lab"),
        Image("gpu", "bdap/gpu", "GPU", gpu=True, gpu_model="A100"),
        Image("pair", "bdap/gpu", "Two", gpu=True, gpu_model="A100", gpus=2),
        Image("any", "bdap/gpu", "Any", gpu=True, digest=PIN),
    ),
    sizes=(Size("small", "Small", 1, 2 * GIB), Size("large", "Large", 4, 16 * GIB), Size("huge", "H", 64, 512 * GIB)),
    gpus=4,
    levels=("mfa", "high"),
    former={"timber": "woods"},
    today=date(2026, 6, 30),
)


def person(name: str, *groups: str, level: str = "mfa", age: float = 0) -> Person:
    return Person(name, frozenset(groups), Assurance(level, age))


FAY, LEO = person("fay", "g-forest"), person("leo", "g-forest-leads")
KIM, NEL = person("kim", "g-farms"), person("nel", "g-none")
OLD, TIM = person("odo", "g-old", "g-old-leads", "g-kept", "g-kept-leads"), person("tim", "g-timber")
ADA, PIA = person("ada", "bdap-admins"), person("pia")
VAL = person("val", "g-vault", level="high")
FULL = Usage(servers=1, cpus=4, memory=16 * GIB)

CASES: list[tuple[Person | None, Request, bool, str]] = [
    # projects: another's, misspelt, alike, nobody's
    (FAY, UseProject("forest"), True, "fay is a member of project forest"),
    (LEO, UseProject("forest"), True, "leo is a lead of project forest"),
    (KIM, UseProject("forest"), False, "kim is not a member of project forest"),
    (PIA, UseProject("forest"), False, "pia is not a member"),
    (ADA, UseProject("forest"), False, "ada is not a member"),
    (None, UseProject("forest"), False, "nobody is logged in"),
    (person("gus", "G-FOREST"), UseProject("forest"), False, "not a member"),
    (person("gus", "g-forest "), UseProject("forest"), False, "not a member"),
    (person("gus", "g-forеst"), UseProject("forest"), False, "not a member"),  # Cyrillic
    (person("gus", ""), UseProject("none"), False, "not a member"),  # no lead group is nobody's group
    (FAY, UseProject("Forest"), False, "there is no project 'Forest'"),
    (FAY, UseProject("FOREST"), False, "there is no project"),
    (FAY, UseProject("fоrest"), False, "there is no project"),
    (FAY, UseProject("ｆorest"), False, "there is no project"),
    (FAY, UseProject("forest "), False, "there is no project"),
    (FAY, UseProject("forest\n"), False, "there is no project"),
    (FAY, UseProject("forest\0"), False, "there is no project"),
    (FAY, UseProject("../forest"), False, "there is no project"),
    (FAY, UseProject("%66orest"), False, "there is no project"),
    (FAY, UseProject("g-forest"), False, "there is no project 'g-forest'"),
    (FAY, UseProject(""), False, "there is no project ''"),
    # the last day, the archive, former names
    (FAY, UseImage("forest", "lab"), True, "may use image lab"),  # today is its last day
    (OLD, UseProject("old"), False, "project old ended on 2026-03-31"),
    (OLD, UseImage("old", "lab"), False, "project old ended on 2026-03-31"),
    (OLD, UseSize("old", "small"), False, "ended on 2026-03-31"),
    (OLD, Publish("old", "project"), False, "ended on 2026-03-31"),
    (OLD, ReadCollection("c", "project", "old"), False, "ended on 2026-03-31"),
    (OLD, ViewDashboard("old/d", "public", "old"), False, "ended on 2026-03-31"),
    (None, ViewDashboard("old/d", "public", "old"), False, "ended on 2026-03-31"),
    (None, ViewDashboard("farms/d", "public", "farms"), True, "is public"),
    (OLD, ManageMembers("old"), False, "ended on 2026-03-31"),
    (ADA, ManageMembers("old"), False, "ended on 2026-03-31"),
    (ADA, ManageMembers("forest"), True, "in group bdap-admins"),
    (OLD, ReadPath("/eos/projects/old"), False, "is in no project"),
    (OLD, UseProject("kept"), False, "project kept is archived"),
    (OLD, UseImage("kept", "lab"), False, "project kept is archived"),
    (TIM, UseProject("woods"), True, "tim is a member of project woods"),
    (TIM, UseProject("timber"), False, "there is no project 'timber': it was renamed to 'woods'"),
    (TIM, UseImage("timber", "lab"), False, "it was renamed to 'woods'"),
    (TIM, WritePath("/eos/projects/timber"), False, "may not write /eos/projects/timber"),
    (TIM, ReadPath("/eos/projects/timber"), False, "it was renamed to 'woods'"),
    (TIM, ReadCollection("c", "project", "timber"), False, "it was renamed to 'woods'"),
    (TIM, WritePath("/eos/projects/woods"), True, "is of project woods"),
    # images by name and by content
    (FAY, UseImage("forest", "LAB"), False, "has no image 'LAB'"),
    (FAY, UseImage("forest", "bdap/lab"), False, "has no image 'bdap/lab'"),
    (FAY, UseImage("forest", f"lab@{PIN}"), False, "has no image"),
    (FAY, UseImage("forest", PIN), False, "has no image"),
    (FAY, UseImage("forest", "any"), False, "project forest has no image 'any'"),
    (FAY, UseImage("forest", "lab", digest=PIN), True, "may use image lab"),
    (FAY, UseImage("forest", "lab", digest=OTHER), False, "is to run sha256:a"),
    (FAY, UseImage("forest", "lab", digest=PIN.upper()), False, "is to run sha256:a"),
    (KIM, UseImage("farms", "lab", digest=OTHER), True, "may use image lab"),  # not pinned there
    (KIM, UseImage("farms", "any", digest=OTHER), False, "is to run sha256:a"),  # the operator's own pin
    (KIM, UseImage("farms", "any", digest=PIN), True, "may use image any"),
    # sizes
    (FAY, UseImage("forest", "lab", "large"), True, "may use image lab"),
    (FAY, UseImage("forest", "lab", "huge"), False, "project forest has no size 'huge'"),
    (FAY, UseImage("forest", "lab", "Large"), False, "has no size 'Large'"),
    (FAY, UseImage("forest", "lab", "large "), False, "has no size"),
    (FAY, UseImage("forest", "lab", "64"), False, "has no size '64'"),
    (KIM, UseImage("farms", "lab", "small"), True, "may use image lab"),  # the platform's first, where none is granted
    (KIM, UseImage("farms", "lab", "large"), False, "project farms has no size 'large'"),
    (FAY, UseSize("forest", "large"), True, "may use size large"),
    (KIM, UseSize("forest", "large"), False, "not a member"),
    # images of dashboards
    (FAY, UseDashboardImage("forest", "vois"), True, "may run in vois"),
    (FAY, UseDashboardImage("forest", "own"), False, "project forest has no image 'own' for dashboards"),
    (FAY, UseDashboardImage("forest", "lab"), False, "has no image 'lab' for dashboards"),
    (KIM, UseDashboardImage("farms", "own"), True, "may run in own"),
    (KIM, UseDashboardImage("forest", "vois"), False, "not a member"),
    (None, UseDashboardImage("forest", "vois"), False, "nobody is logged in"),
    # GPUs: model and number
    (FAY, UseImage("forest", "gpu"), True, "may use image gpu"),
    (FAY, UseImage("forest", "pair"), False, "no grant for 2 GPUs of model A100"),
    (NEL, UseImage("none", "lab"), True, "may use image lab"),
    (NEL, UseImage("none", "any"), False, "project none has no grant for a GPU"),
    (KIM, UseImage("farms", "any"), True, "may use image any"),  # nothing stated: any
    (FAY, UseGpu("forest", "T4", 2), True, "may use 2 GPUs of model T4"),
    (FAY, UseGpu("forest", "T4", 3), False, "no grant for 3 GPUs of model T4"),
    (FAY, UseGpu("forest", "H100"), False, "no grant for a GPU of model H100"),
    (KIM, UseGpu("forest", "A100"), False, "not a member"),
    # quotas: servers, CPUs and memory
    (FAY, UseImage("forest", "lab", "large", usage=FULL), True, "may use image lab"),
    (FAY, UseImage("forest", "lab", usage=Usage(servers=2)), False, "fay has 2 of 2 servers in project forest"),
    (FAY, UseImage("forest", "lab", "large", usage=Usage(cpus=4.5)), False, "has 3.5 of its 8 CPUs left"),
    (FAY, UseImage("forest", "lab", "small", usage=Usage(cpus=4.5)), True, "may use image lab"),
    (FAY, UseImage("forest", "lab", "large", usage=Usage(memory=17 * GIB)), False, "has 15 of its 32 GiB of memory"),
    (KIM, UseImage("farms", "lab", usage=Usage(99, 999, 999 * GIB)), True, "may use image lab"),
    # the login that a project demands
    (VAL, UseImage("vault", "lab"), True, "may use image lab"),
    (person("val", "g-vault"), UseImage("vault", "lab"), False, "needs a login of level high"),
    (person("val", "g-vault", level="high", age=601), UseImage("vault", "lab"), False, "within the last 10 minutes"),
    (person("val", "g-vault"), WritePath("/eos/projects/vault"), False, "needs a login of level high"),
    # folders of the store
    (FAY, WritePath("/eos/projects/forest"), True, "is of project forest"),
    (FAY, WritePath("/eos/projects/forest/maps/x.tif"), True, "is of project forest"),
    (FAY, ReadPath("/eos/projects/farms"), True, "project forest may read /eos/projects/farms"),
    (FAY, WritePath("/eos/projects/farms"), False, "fay may not write /eos/projects/farms"),
    (KIM, ReadPath("/eos/projects/forest"), False, "kim is not a member of project forest"),
    (KIM, ReadPath("/eos/projects/farmsteads"), False, "there is no project 'farmsteads'"),
    (FAY, ReadPath("/eos/projects/farms2"), False, "there is no project 'farms2'"),  # not below what is granted
    (FAY, WritePath("/eos/data/plots"), True, "may write /eos/data/plots"),
    (FAY, WritePath("/eos/data/plots/2026"), True, "may write /eos/data/plots"),
    (FAY, WritePath("/eos/data/plots2"), False, "may not write"),
    (FAY, WritePath("/eos/data"), False, "may not write /eos/data"),
    (KIM, WritePath("/eos/data/plots"), False, "kim may not write"),
    (KIM, ReadPath("/eos/data/plots"), True, "for everybody logged in"),
    (KIM, ReadPath("/eos/data/plots", "", "project", "forest"), False, "kim is not a member of project forest"),
    (FAY, ReadPath("/eos/data/plots", "", "project", "none"), True, "project forest may read /eos/data/plots"),
    (PIA, ReadPath("/eos/data/plots"), False, "pia is in no project"),
    (None, ReadPath("/eos/data/plots"), False, "nobody is logged in"),
    # a grant counts in the servers of its project alone
    (person("bo", "g-forest", "g-none"), WritePath("/eos/data/plots", "forest"), True, "may write"),
    (person("bo", "g-forest", "g-none"), WritePath("/eos/data/plots", "none"), False, "a server of project none may"),
    (person("bo", "g-forest", "g-none"), WritePath("/eos/projects/forest", "none"), False, "may not write"),
    (person("bo", "g-forest", "g-none"), ReadPath("/eos/projects/forest", "none"), True, "is a member of project"),
    (KIM, WritePath("/eos/data/plots", "forest"), False, "kim is not a member of project forest"),
    # what is one's own: results of jobs, uploaded files
    (PIA, ReadPath("/eos/files/pia/maps/a.tif"), True, "is a file of pia"),  # also of who is in no project
    (KIM, ReadPath("/eos/files/pia/maps/a.tif"), False, "are not files of kim"),
    (ADA, ReadPath("/eos/files/pia/maps/a.tif"), False, "are not files of ada"),
    (None, ReadPath("/eos/files/pia/maps/a.tif"), False, "nobody is logged in"),
    (PIA, ReadPath("/eos/files/pia/../kim/a.tif"), False, "are not files of pia"),
    (PIA, ReadPath("/eos/files/pia2/a.tif"), False, "are not files of pia"),
    (PIA, ReadPath("/eos/files"), False, "is not below"),
    (PIA, WritePath("/eos/files/pia/a.tif"), False, "is not below"),
    (person("Pia/.."), ReadPath("/eos/files/Pia/../a.tif"), False, "are not files of"),
    (PIA, ReadPath("/eos/results/pia/0123456789abcdef"), True, "is a result of pia"),
    (KIM, ReadPath("/eos/results/pia/0123456789abcdef"), False, "are not results of kim"),
    # a path has one spelling
    (FAY, WritePath("/eos/projects/forest/../farms"), False, "has the part '..'"),
    (FAY, WritePath("/eos/projects/../projects/forest"), False, "has the part '..'"),
    (FAY, WritePath("/eos/projects//forest"), False, "has the part ''"),
    (FAY, WritePath("/eos/projects/forest/"), False, "has the part ''"),
    (FAY, WritePath("/eos/projects/./forest"), False, "has the part '.'"),
    (FAY, WritePath("//eos/projects/forest"), False, "is not below /eos/data or /eos/projects"),
    (FAY, WritePath("/eos/projects/forest/%2e%2e/farms"), False, "per cent sign"),
    (FAY, WritePath("/eos/projects/forest\0"), False, "control character"),
    (FAY, WritePath("/eos/projects/forest\n"), False, "control character"),
    (FAY, WritePath("/eos/projects/forest."), False, "ends with a dot"),
    (FAY, WritePath("/eos/projects/forest/..."), False, "ends with a dot"),
    (FAY, WritePath("/eos/projects/forest "), False, "begins or ends with a blank"),
    (FAY, WritePath("/eos/projects/forest\\..\\farms"), False, "backslash"),
    (FAY, WritePath("/eos/projects/forest/．．/farms"), False, "characters that look like others"),
    (FAY, WritePath("/EOS/projects/forest"), False, "is not below"),
    (FAY, WritePath("/eos/projects/Forest"), False, "may not write"),
    (FAY, WritePath("/eos/projects"), False, "is not below"),
    (FAY, WritePath("/eos"), False, "is not below"),
    (FAY, WritePath("/etc/passwd"), False, "is not below"),
    (FAY, WritePath("eos/projects/forest"), False, "is not below"),
    (FAY, WritePath(""), False, "is no text"),
    (FAY, WritePath("/eos/data/" + "x" * 1024), False, "is no text of 1 to 1024"),
    # who edits what
    (ADA, EditProject("forest", "ends"), True, "in group bdap-admins"),
    (ADA, EditProject("old", "ends"), True, "in group bdap-admins"),  # to extend it
    (ADA, EditProject("farms", "ends"), False, "stands in the operator's settings"),
    (LEO, EditProject("forest", "title"), True, "leo leads project forest"),
    (LEO, EditProject("forest", "images"), False, "changed by administrators alone"),
    (LEO, EditProject("forest", "store"), False, "changed by administrators alone"),
    (LEO, EditProject("forest", "group"), False, "changed by administrators alone"),
    (LEO, EditProject("forest", "name"), False, "changed by administrators alone"),
    (LEO, EditProject("new", "create"), False, "not in group bdap-admins"),
    (FAY, EditProject("forest", "title"), False, "fay does not lead project forest"),
    (OLD, EditProject("old", "title"), False, "ended on 2026-03-31"),
    (person("vic", "g-vault-leads"), EditProject("vault", "title"), False, "needs a login of level high"),
    (ADA, EditProject("timber", "ends"), False, "it was renamed to 'woods'"),
    # who builds a project's own image
    (LEO, BuildImage("forest"), True, "leo leads project forest"),
    (ADA, BuildImage("forest"), True, "in group bdap-admins"),
    (FAY, BuildImage("forest"), False, "fay does not lead project forest"),
    (LEO, BuildImage("farms"), False, "leo does not lead project farms"),
    (ADA, BuildImage("old"), False, "ended on 2026-03-31"),
    (OLD, BuildImage("old"), False, "ended on 2026-03-31"),
    (ADA, BuildImage("nowhere"), False, "there is no project"),
    (ADA, BuildImage("timber"), False, "it was renamed to 'woods'"),
    (person("vic", "g-vault-leads"), BuildImage("vault"), False, "needs a login of level high"),
    (None, BuildImage("forest"), False, "nobody is logged in"),
    # who writes in the catalogue
    (LEO, CurateCollection("plots", "forest"), True, "leo leads project forest"),
    (LEO, CurateCollection("plots", "forest", whole=True), False, "not in group bdap-admins"),
    (LEO, CurateCollection("fields", "farms"), False, "leo does not lead project farms"),
    (LEO, CurateCollection("sentinel-2"), False, "not in group bdap-admins"),
    (ADA, CurateCollection("sentinel-2"), True, "in group bdap-admins"),
    (ADA, CurateCollection("plots", "forest", whole=True), True, "in group bdap-admins"),
    (FAY, CurateCollection("plots", "forest"), False, "fay does not lead project forest"),
    (LEO, CurateCollection("plots", "nowhere"), False, "there is no project"),
    (person("vic", "g-vault-leads"), CurateCollection("plots", "vault"), False, "needs a login of level high"),
    (None, CurateCollection("plots", "forest"), False, "nobody is logged in"),
]


@pytest.mark.parametrize(("who", "wanted", "allowed", "words"), CASES)
def test_entitlement(who: Person | None, wanted: Request, allowed: bool, words: str) -> None:
    decision = decide(POLICY, who, wanted)
    assert (decision.allowed, words in decision.reason) == (allowed, True), decision
    assert decision.rule, "each answer names its rule"


def test_each_kind_of_request_is_refused_and_allowed() -> None:
    kinds = {kind: {allowed for _, wanted, allowed, _ in CASES if type(wanted) is kind} for kind in (
        UseProject, UseImage, UseSize, UseGpu, ReadPath, WritePath, EditProject, ManageMembers, ViewDashboard,
        CurateCollection, UseDashboardImage,
    )}  # fmt: skip
    assert set(map(frozenset, kinds.values())) == {frozenset({True, False})}
    assert sum(not allowed for _, _, allowed, _ in CASES) >= 60


def test_the_day_after_the_last_one() -> None:
    later = dataclasses.replace(POLICY, today=date(2026, 7, 1))
    assert decide(later, FAY, UseImage("forest", "lab")).reason == "project forest ended on 2026-06-30"
    unknown = dataclasses.replace(POLICY, today=None)  # who does not say what day it is gets no benefit of the doubt
    assert not decide(unknown, FAY, UseImage("forest", "lab")) and decide(unknown, KIM, UseImage("farms", "lab"))
