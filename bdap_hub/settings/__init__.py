"""THE settings tree: bdap.yaml + BDAP_* environment (BDAP_HUB__PORT=8000). No knob is declared twice.

Secrets never stand here: they are files of mode 600 in `<var>/secrets`, read by `Settings.secret(name)`.
"""

from __future__ import annotations

from .batch import BatchSettings
from .hub import HubSettings, local
from .identity import PRESETS, IdentitySettings, LevelSettings
from .projects import ImageSettings, ProjectSettings, RequirementSettings, SizeSettings
from .registration import MailSettings, RegistrationSettings
from .section import Section
from .services import (
    DASHBOARDS_USE,
    SERVERS_USE,
    AdminSettings,
    CatalogueSettings,
    DashboardsSettings,
    ProcessingSettings,
    ServiceSettings,
)
from .spawning import BuilderSettings, Engine, GpuSettings, SpawningSettings, bridge_interface
from .store import StoreSettings
from .tree import Settings, load

__all__ = [
    "DASHBOARDS_USE",
    "PRESETS",
    "SERVERS_USE",
    "AdminSettings",
    "BatchSettings",
    "BuilderSettings",
    "CatalogueSettings",
    "DashboardsSettings",
    "Engine",
    "GpuSettings",
    "HubSettings",
    "IdentitySettings",
    "ImageSettings",
    "LevelSettings",
    "MailSettings",
    "ProcessingSettings",
    "ProjectSettings",
    "RegistrationSettings",
    "RequirementSettings",
    "Section",
    "ServiceSettings",
    "Settings",
    "SizeSettings",
    "SpawningSettings",
    "StoreSettings",
    "bridge_interface",
    "load",
    "local",
]
