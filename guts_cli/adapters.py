"""The configuration as the plain settings that each adapter takes; none of them knows where they come from."""

from __future__ import annotations

from pathlib import Path

from guts_core.git.pack_limits import PackLimits
from guts_core.git.receive_pack import FormLimits
from guts_http.serving import ServeSettings
from guts_http.site import Settings
from guts_net.peers.limits import PeerLimits
from guts_net.settings import NodeSettings

from .config import Config
from .node_directory import NodeDirectory

MIB = 1 << 20
GIB = 1 << 30
HOUR_MS = 3_600_000


def node_settings(directory: NodeDirectory, genesis: Path, config: Config) -> NodeSettings:
    """What the node is told."""
    limits = config.limits
    reserve = limits.disk_reserve_mib
    return NodeSettings(
        directory=directory.path,
        genesis=genesis,
        p2p=str(config.p2p_address),
        advertise=config.p2p.advertise,
        bootstrap=config.p2p.bootstrap,
        gossip_seconds=config.p2p.gossip_seconds,
        private_read_grace_seconds=config.node.private_read_grace_seconds,
        keep_blocks_ms=config.node.keep_blocks_hours * HOUR_MS or None,
        log_path=directory.log,
        clock_offset_ms=config.clock.offset_ms,
        log_file_bytes=limits.log_mib * MIB,
        log_files_kept=limits.log_files,
        disk_reserve_bytes=None if isinstance(reserve, str) else reserve * MIB,
        mempool_bytes=limits.mempool_mib * MIB,
        mempool_transactions=limits.mempool_transactions,
        write_lag_seconds=limits.write_lag_seconds,
        git_children=limits.git_children,
        pack_limits=_pack_limits(config),
        peers=PeerLimits(limits.peer_handshakes, limits.peer_queue_mib * MIB, float(limits.peer_ban_seconds)),
    )


def _pack_limits(config: Config) -> PackLimits:
    push = config.push
    return PackLimits(
        objects=push.objects,
        blob_bytes=push.file_mib * MIB,
        tree_entries=push.tree_entries,
        tree_depth=push.tree_depth,
        delta_depth=push.delta_depth,
        parents=push.parents,
        commit_bytes=push.commit_bytes,
        inflated_bytes=push.inflated_gib * GIB,
    )


def serve_settings(directory: NodeDirectory, config: Config) -> ServeSettings:
    """What the HTTP server is told; relative paths begin at the node's directory."""
    limits, http = config.limits, config.http
    return ServeSettings(
        connections_max=limits.connections,
        connections_per_address=limits.connections_per_address,
        connections_per_loopback=limits.connections_per_loopback,
        trusted_proxies=http.trusted_proxies,
        head_bytes=limits.head_bytes,
        certificate=(directory.path / http.tls_cert, directory.path / http.tls_key) if http.tls_cert else None,
        handshake_seconds=limits.tls_handshake_seconds,
        keep_alive_seconds=limits.idle_seconds,
        write_seconds=limits.answer_seconds,
        graceful_seconds=limits.stop_seconds,
    )


def site_settings(config: Config) -> Settings:
    """What the doors behind it are told."""
    limits = config.limits
    return Settings(
        public_url=config.http.public_url or None,
        trusted_proxies=config.http.trusted_proxies,
        requests_per_second=limits.requests_per_second,
        account_requests_per_second=limits.account_requests_per_second,
        wait_ms=limits.wait_seconds * 1000,
        json_bytes_max=limits.body_bytes,
        body_idle_seconds=limits.body_idle_seconds,
        git_reads_max=limits.reads,
        fetches_max=limits.fetches,
        pushes_max=limits.pushes,
        push_form=FormLimits(config.push.commands, config.push.options, config.push.option_bytes),
        turns_percent_per_address=limits.turns_percent_per_address,
        queue_seconds=limits.queue_seconds,
        pack_bytes_max=limits.pack_mib * MIB,
        shared_answers_bytes_max=limits.shared_answers_mib * MIB,
        fetch_request_bytes_max=limits.fetch_request_mib * MIB,
    )
