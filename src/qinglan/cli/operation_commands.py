"""`qinglan backup`, `restore`, `jobs` and `registry`: keeping a workspace safe and its jobs going."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from qinglan.cli.account_commands import tell_setup_code
from qinglan.cli.output import Shell
from qinglan.core.clock import CST
from qinglan.core.errors import UsageError

jobs_app = typer.Typer(help="定时任务。Scheduled jobs.", no_args_is_help=True, rich_markup_mode=None)
registry_app = typer.Typer(help="登记库。The registry.", no_args_is_help=True, rich_markup_mode=None)

_OUTCOMES = {
    "done": "完成",
    "failed": "失败",
    "running": "进行中",
    "interrupted": "中断",
}

Name = Annotated[str, typer.Argument(help="任务名 / name of a job")]
By = Annotated[str, typer.Option("--by", help="谁 / who")]


def _now() -> datetime:
    return datetime.now(UTC)


def _open(shell: Shell) -> Any:
    from qinglan.flow.workspace import open_workspace

    return open_workspace(shell.home)


def _clock(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(CST):%Y-%m-%d %H:%M}"


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="监听地址 / address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="端口 / port")] = 8000,
    workers: Annotated[int, typer.Option(help="进程数 / processes that answer")] = 1,
    grace: Annotated[int, typer.Option(help="停止时等待秒数 / seconds to end running requests")] = 30,
    jobs: Annotated[
        bool, typer.Option("--jobs/--no-jobs", help="同时执行定时任务 / do scheduled jobs too")
    ] = True,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="JSON日志，每请求一行 / a JSON line a request")
    ] = False,
    certfile: Annotated[str, typer.Option(help="TLS证书 / certificate")] = "",
    keyfile: Annotated[str, typer.Option(help="TLS私钥 / its key")] = "",
    behind_proxy: Annotated[
        list[str] | None, typer.Option(help="前置代理的地址，可重复 / address of the proxy before us")
    ] = None,
    host_name: Annotated[
        list[str] | None, typer.Option(help="访问所用域名，可重复 / name people reach it by")
    ] = None,
) -> None:
    """控制台。Serve the console."""
    from qinglan.web.server import Serving
    from qinglan.web.server import serve as start

    shell: Shell = context.obj
    _open(shell)
    shown = f"[{host}]" if ":" in host else host
    address = f"{'https' if certfile else 'http'}://{shown}:{port}"
    stops = shell.say(f"控制台：{address} （Ctrl+C 停止）", f"Console: {address} (Ctrl+C stops)")
    shell.err.print(stops, markup=False)
    tell_setup_code(shell)
    start(
        shell.home,
        host,
        port,
        how=Serving(workers, jobs, grace, log_json),
        certfile=certfile,
        keyfile=keyfile,
        behind_proxy=tuple(behind_proxy or ()),
        host_names=tuple(host_name or ()),
    )


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="新的归档文件 / the archive to make")],
    results: Annotated[bool, typer.Option("--results/--no-results", help="含各次运算结果 / with results")] = True,
) -> None:
    """备份：登记库、数据湖、结果、文件与设置，一个归档。Back up a workspace into one archive."""
    from qinglan.flow.backup import backup as save
    from qinglan.flow.backup import note

    shell: Shell = context.obj
    workspace, now = _open(shell), _now()
    made = save(workspace, file, now=now, results=results, progress=shell.progress)
    note(workspace, made, who=getpass.getuser(), now=now)
    if shell.as_json:
        shell.give(made)
        return
    rows, size = sum(made["rows"].values()), made["bytes"] / 1e6
    shell.out.print(
        shell.say(
            f"已备份到 {made['file']}：{made['files']} 个文件，登记 {rows} 行，{size:.1f} MB。"
            "内含口令散列和密钥，请妥善保管。",
            f"Backed up to {made['file']}: {made['files']} files, {rows} registry rows, {size:.1f} MB. "
            "It holds password hashes and keys: keep it safe.",
        ),
        markup=False,
    )


def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="备份归档 / an archive made by backup")],
    registry: Annotated[
        str | None, typer.Option(help="登记库去处：数据库地址，或 sqlite / where the registry goes")
    ] = None,
) -> None:
    """恢复到新的工作区（--home），先核对每个文件。Restore into a new workspace (--home), every file checked."""
    from qinglan.flow.backup import restore as unpack

    shell: Shell = context.obj
    wanted = "" if registry == "sqlite" else registry
    made = unpack(file, shell.home, registry=wanted, progress=shell.progress)
    if shell.as_json:
        shell.give(made)
        return
    rows = sum(made["rows"].values())
    shell.out.print(
        shell.say(
            f"已恢复到 {made['home']}：{made['files']} 个文件全部核对，登记 {rows} 行"
            f"（备份于 {made['made_at']}）。",
            f"Restored to {made['home']}: all {made['files']} files checked, {rows} registry rows "
            f"(backed up {made['made_at']}).",
        ),
        markup=False,
    )


@registry_app.command()
def migrate(
    context: typer.Context,
    to: Annotated[str, typer.Argument(help="head、修订号（可向后）或 base / a revision")] = "head",
    yes: Annotated[bool, typer.Option("--yes", help="确认退回 / go back, losing newer tables")] = False,
) -> None:
    """登记库升级到最新修订，或退回旧修订。Bring the registry to the newest revision, or back to an older one."""
    from qinglan.flow.setup import migrate_registry

    shell: Shell = context.obj
    if to != "head" and not yes:
        raise UsageError(
            f"going to {to!r} may drop tables with what is in them.", remedy="Back up first, then add --yes."
        )
    before, after = migrate_registry(shell.home, to)
    if shell.as_json:
        shell.give({"before": before, "after": after})
    else:
        shell.out.print(shell.say(f"登记库修订：{before} → {after}", f"Registry revision: {before} → {after}"))


@jobs_app.command("list")
def list_jobs(context: typer.Context) -> None:
    """列出任务：时间表、下次、上次。List jobs: schedule, next, last."""
    from qinglan.flow.operations import jobs

    shell: Shell = context.obj
    found = jobs(_open(shell), _now())
    if shell.as_json:
        shell.give(found)
        return
    heads = shell.say("任务 名称 时间表 下次 上次 结果", "job title schedule next last outcome").split()
    rows = [
        (
            row["name"],
            shell.pick(row["title"]),
            row["schedule"],
            _clock(row["next"]) or shell.say("停用", "off"),
            _clock(row["last"]["started_at"]) if row["last"] else "",
            _outcome(shell, row["last"]),
        )
        for row in found
    ]
    shell.table("", [(h, "left") for h in heads], rows)


def _outcome(shell: Shell, run: Any) -> str:
    return "" if run is None else shell.say(_OUTCOMES.get(run["outcome"], run["outcome"]), run["outcome"])


@jobs_app.command()
def history(
    context: typer.Context,
    job: Annotated[str | None, typer.Option(help="任务名 / one job")] = None,
    limit: Annotated[int, typer.Option(help="行数 / rows")] = 20,
) -> None:
    """任务的历次执行。Runs of jobs, newest first."""
    from qinglan.flow.operations import history as runs

    shell: Shell = context.obj
    found = runs(_open(shell), job, limit)
    if shell.as_json:
        shell.give(found)
        return
    heads = shell.say("任务 应执行 开始 结束 结果 说明", "job due began ended outcome note").split()
    rows = [
        (
            row["job"],
            _clock(row["due"]),
            _clock(row["started_at"]),
            _clock(row["finished_at"]),
            _outcome(shell, row),
            row["error"],
        )
        for row in found
    ]
    shell.table("", [(h, "left") for h in heads], rows)


@jobs_app.command("run")
def run_now(context: typer.Context, name: Name, by: By = "") -> None:
    """立即执行一个任务。Do a job now."""
    from qinglan.flow.operations import run_job

    shell: Shell = context.obj
    row = run_job(_open(shell), name, who=by or getpass.getuser(), clock=_now)
    if shell.as_json:
        shell.give(row)
    else:
        shell.out.print(f"{row['job']}: {_outcome(shell, row)} {row['error'] or row['result']}", markup=False)
    if row["outcome"] != "done":
        raise typer.Exit(1)


@jobs_app.command()
def add(
    context: typer.Context,
    name: Name,
    action: Annotated[str, typer.Argument(help="做什么 / what it does: run, backup ...")],
    schedule: Annotated[str, typer.Argument(help="分 时 日 月 星期（mon-sun） / as cron writes it")],
    argument: Annotated[list[str] | None, typer.Option("--argument", help="键=值 / KEY=VALUE")] = None,
    by: By = "",
) -> None:
    """新增任务。Enter a job."""
    from qinglan.flow.operations import keep_job

    shell: Shell = context.obj
    row = {"name": name, "action": action, "schedule": schedule, "arguments": _pairs(argument), "enabled": True}
    keep_job(_open(shell), row, who=by or getpass.getuser(), now=_now())
    list_jobs(context)


@jobs_app.command("set")
def set_job(
    context: typer.Context,
    name: Name,
    schedule: Annotated[str | None, typer.Option(help="分 时 日 月 星期 / as cron writes it")] = None,
    argument: Annotated[list[str] | None, typer.Option("--argument", help="键=值 / KEY=VALUE")] = None,
    enabled: Annotated[bool | None, typer.Option("--on/--off", help="启用或停用 / enable or disable")] = None,
    by: By = "",
) -> None:
    """修改任务：时间表、参数、启停。Change a job."""
    from qinglan.flow.operations import change_job

    shell: Shell = context.obj
    given: dict[str, Any] = {"schedule": schedule, "enabled": enabled}
    if argument:
        given["arguments"] = _pairs(argument)
    changes = {key: value for key, value in given.items() if value is not None}
    if not changes:
        raise UsageError("nothing to change was given.", remedy="Give --schedule, --argument, --on or --off.")
    change_job(_open(shell), name, who=by or getpass.getuser(), now=_now(), **changes)
    list_jobs(context)


def _pairs(given: list[str] | None) -> dict[str, Any]:
    """KEY=VALUE, a value that reads as JSON being that."""
    made: dict[str, Any] = {}
    for pair in given or []:
        key, mark, value = pair.partition("=")
        if not mark or not key:
            raise UsageError(f"argument {pair!r} cannot be read.", remedy="Write KEY=VALUE.")
        try:
            made[key] = json.loads(value)
        except ValueError:
            made[key] = value
    return made


@jobs_app.command()
def work(context: typer.Context) -> None:
    """执行到期任务，直到停止（serve --no-jobs 时单独运行）。Do what is due until stopped."""
    from qinglan.flow.scheduler import serve_jobs

    shell: Shell = context.obj
    _open(shell)
    serve_jobs(shell.home)


def register(app: typer.Typer) -> None:
    """Put these commands beside the others."""
    for command in (serve, backup, restore):
        app.command()(command)
    app.add_typer(jobs_app, name="jobs")
    app.add_typer(registry_app, name="registry")
