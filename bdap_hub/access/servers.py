"""What a server may be made of: project, image, size, GPUs, and how much runs already."""

from __future__ import annotations

from .model import Decision, GpuGrant, Person, Policy, Project, Requirement, Size
from .requests import Usage, UseDashboardImage, UseGpu, UseImage, UseSize
from .rules import action, member, no, proven, yes


def use_project(policy: Policy, person: Person, name: str) -> Decision:
    """Whether they may work in the project."""
    project = policy.project(name)
    demand = project.requires if project else Requirement()
    return proven(policy, person, member(policy, person, name), demand)


def use_image(policy: Policy, person: Person, request: UseImage) -> Decision:
    """Whether they may start that image in that size, with what runs already."""
    project, membership = policy.project(request.project), member(policy, person, request.project)
    if project is None or not membership:
        return membership
    image = policy.image(request.image)
    if image is None or request.image not in project.images:
        return no("image", f"project {request.project} has no image {request.image!r}")
    if image.gpu and policy.gpus < 1:
        return no("gpu", f"image {image.name} needs a GPU and this platform has none")
    if image.gpu and not (granted := _gpu(project, image.gpu_model, image.gpus)):
        return granted
    size = size_of(policy, project, request.size)
    if size is None:
        return _no_size(project, request.size)
    pin = pin_of(policy, project, image.name)
    if pin and request.digest and request.digest != pin:
        return no("digest", f"image {image.name} is {request.digest}, and project {project.name} is to run {pin} alone")
    if request.usage and (exceeded := _quota(person, project, size, request.usage)) is not None:
        return exceeded
    may = yes("image", f"project {request.project} may use image {image.name}")
    return proven(policy, person, may, project.requires, image.requires, gpu_demand(policy, image.gpu))


def use_dashboard_image(policy: Policy, person: Person, request: UseDashboardImage) -> Decision:
    """Whether the project's dashboards may run in it."""
    project, membership = policy.project(request.project), member(policy, person, request.project)
    if project is None or not membership:
        return membership
    image = policy.dashboard_image(request.image)
    if image is None or (image.projects and project.name not in image.projects):
        return no("image", f"project {project.name} has no image {request.image!r} for dashboards")
    may = yes("image", f"dashboards of project {project.name} may run in {image.name}")
    return proven(policy, person, may, project.requires)


def use_size(policy: Policy, person: Person, request: UseSize) -> Decision:
    """Whether they may start servers of that size."""
    project, membership = policy.project(request.project), member(policy, person, request.project)
    if project is None or not membership:
        return membership
    if (size := size_of(policy, project, request.size)) is None:
        return _no_size(project, request.size)
    return proven(policy, person, yes("size", f"project {project.name} may use size {size.name}"), project.requires)


def use_gpu(policy: Policy, person: Person, request: UseGpu) -> Decision:
    """Whether they may have so many GPUs of that model in one server."""
    project, membership = policy.project(request.project), member(policy, person, request.project)
    if project is None or not membership:
        return membership
    if policy.gpus < 1:
        return no("gpu", "this platform has no GPU")
    may = _gpu(project, request.model, request.count)
    return proven(policy, person, may, project.requires, gpu_demand(policy, True))


def size_of(policy: Policy, project: Project, name: str) -> Size | None:
    """The project's size of that exact name, its first for ''."""
    return next((size for size in policy.sizes_of(project) if name in ("", size.name)), None)


def pin_of(policy: Policy, project: Project, image: str) -> str:
    """The digest to which the project, else the operator, pins the image; '' for none."""
    found = policy.image(image)
    return dict(project.pins).get(image, found.digest if found else "")


def grants_for(project: Project, model: str, count: int) -> tuple[GpuGrant, ...]:
    """The project's grants from which `count` GPUs of that model can come."""
    return tuple(g for g in project.gpus if g.covers(model) and (g.count is None or count <= g.count))


def gpu_demand(policy: Policy, gpu: bool) -> Requirement:
    """What a server with a GPU demands of the login."""
    return action(policy, "gpu") if gpu else Requirement()


def _gpu(project: Project, model: str, count: int) -> Decision:
    wanted = f"{'a GPU' if count == 1 else f'{count} GPUs'}{f' of model {model}' if model else ''}"
    if grants_for(project, model, count):
        return yes("gpu", f"project {project.name} may use {wanted}")
    return no("gpu", f"project {project.name} has no grant for {wanted}")


def _no_size(project: Project, name: str) -> Decision:
    return no("size", f"project {project.name} has no size {name!r}")


def _quota(person: Person, project: Project, size: Size, usage: Usage) -> Decision | None:
    quota, name = project.quota, project.name
    if quota.servers is not None and usage.servers >= quota.servers:
        return no("quota", f"{person.name} has {usage.servers} of {quota.servers} servers in project {name}; stop one")
    if quota.cpus is not None and usage.cpus + size.cpus > quota.cpus:
        left = max(0.0, quota.cpus - usage.cpus)
        return no("quota", f"project {name} has {left:g} of its {quota.cpus:g} CPUs left, and this needs {size.cpus:g}")
    if quota.memory is not None and usage.memory + size.memory > quota.memory:
        left, needs = max(0, quota.memory - usage.memory) / 2**30, size.memory / 2**30
        whole = quota.memory / 2**30
        return no(
            "quota", f"project {name} has {left:.3g} of its {whole:.3g} GiB of memory left, and this needs {needs:.3g}"
        )
    return None
