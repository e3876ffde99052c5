"""`qinglan user`: accounts without the console. `qinglan audit-log`: show the log, verify its chain."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from qinglan.cli.output import Shell
from qinglan.core.clock import CST

app = typer.Typer(help="账号。Accounts.", no_args_is_help=True, rich_markup_mode=None)
log_app = typer.Typer(help="审计日志。The audit log.", no_args_is_help=True, rich_markup_mode=None)

User = Annotated[str, typer.Argument(help="登录名 / sign-in name")]
RoleName = Annotated[str, typer.Option("--role", help="角色，见 qinglan user list --roles / a role")]
Place = Annotated[str, typer.Option("--place", help="行政区划代码 / division code")]
Department = Annotated[str, typer.Option("--department", help="部门 / department")]
Sources = Annotated[list[str] | None, typer.Option("--source", help="污染源，可重复 / a source, may be repeated")]
Who = Annotated[str, typer.Option("--by", help="谁办理的 / who does this")]


def _registry(shell: Shell) -> Any:
    from qinglan.flow.workspace import open_workspace

    return open_workspace(shell.home).registry


def _how(by: str) -> dict[str, Any]:
    return {"who": by or getpass.getuser(), "now": datetime.now(UTC)}


def _grant(role: str, place: str, department: str, sources: list[str] | None) -> Any:
    from qinglan.access import Grant

    return Grant(role, place, department, tuple(sources or ()))


def _told(shell: Shell, user: str, password: str) -> None:
    """A drawn password, shown once."""
    if shell.as_json:
        shell.give({"user": user, "password": password})
        return
    shell.out.print(
        shell.say(
            f"{user} 的初始密码（只显示一次，首次登录须修改）：{password}",
            f"First password of {user} (shown once, to be changed at the first sign-in): {password}",
        )
    )


def tell_setup_code(shell: Shell) -> None:
    """Before the first account: the code with which the console makes the administrator."""
    from qinglan.flow import accounts

    code = accounts.setup_code(_registry(shell), now=datetime.now(UTC))
    if code is not None:
        shell.err.print(
            shell.say(
                f"还没有账号。在控制台 /first-run 建立管理员，安装码（一次有效）：{code}",
                f"There is no account yet. Make the administrator at /first-run; setup code (works once): {code}",
            ),
            markup=False,
        )


@app.command("add")
def add(
    context: typer.Context,
    user: User,
    name: Annotated[str, typer.Option(help="姓名 / name")] = "",
    role: RoleName = "",
    place: Place = "",
    department: Department = "",
    source: Sources = None,
    by: Who = "",
) -> None:
    """新建账号，显示初始密码。Add a user; shows the first password, once."""
    from qinglan.flow import accounts

    shell: Shell = context.obj
    grants = [_grant(role, place, department, source)] if role else []
    drawn = accounts.add_user(_registry(shell), user, name, grants, **_how(by))
    _told(shell, accounts.clean_id(user), drawn)


@app.command("list")
def list_users(
    context: typer.Context,
    roles: Annotated[bool, typer.Option("--roles", help="改为列出角色 / list the roles instead")] = False,
) -> None:
    """账号与授权；或角色。Users and what was granted; or the roles."""
    from qinglan.access import load_permissions
    from qinglan.flow import accounts

    shell: Shell = context.obj
    if roles:
        rows = [(r.name, shell.say(r.zh, r.en), r.scope) for r in load_permissions().roles.values()]
        heads = shell.say("角色 名称 授权按", "role name bound-to").split()
        if shell.as_json:
            shell.give([{"role": a, "name": b, "scope": c} for a, b, c in rows])
        else:
            shell.table("", [(h, "left") for h in heads], rows)
        return
    found = accounts.users(_registry(shell))
    if shell.as_json:
        shell.give(found)
        return
    shown = [
        (u["id"], u["name"], u["status"], _granted(u), "✓" if u["second"] else "", u["issuer_subject"])
        for u in found
    ]
    heads = shell.say(
        "登录名 姓名 状态 授权 二次验证 关联", "user name state granted second-factor linked"
    ).split()
    shell.table("", [(h, "left") for h in heads], shown)


def _granted(user: dict[str, Any]) -> str:
    def bound(g: dict[str, Any]) -> str:
        what = g["place"] or g["department"] or ",".join(g["sources"])
        return f"{g['role']}({what})" if what else str(g["role"])

    return "; ".join(bound(g) for g in user["grants"])


@app.command("grant")
def grant(
    context: typer.Context,
    user: User,
    role: Annotated[str, typer.Argument(help="角色 / role")],
    place: Place = "",
    department: Department = "",
    source: Sources = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="收回 / take it back")] = False,
    by: Who = "",
) -> None:
    """授予或收回角色。Grant a role, or take it back."""
    from qinglan.flow import accounts

    shell: Shell = context.obj
    registry, wanted = _registry(shell), _grant(role, place, department, source)
    if revoke:
        accounts.revoke_role(registry, user, wanted, **_how(by))
    else:
        accounts.grant_role(registry, user, wanted, **_how(by))
    row = accounts.user(registry, user)
    shell.give(row) if shell.as_json else shell.out.print(f"{user}: {_granted(row)}", markup=False)


@app.command("lock")
def lock(
    context: typer.Context,
    user: User,
    unlock: Annotated[bool, typer.Option("--unlock", help="恢复 / open it again")] = False,
    by: Who = "",
) -> None:
    """停用账号（立即退出，密钥失效）或恢复。Close an account at once, or open it again."""
    from qinglan.flow import accounts

    shell: Shell = context.obj
    accounts.set_locked(_registry(shell), user, not unlock, **_how(by))
    state = "active" if unlock else "locked"
    shell.give({"user": user, "status": state}) if shell.as_json else shell.out.print(f"{user}: {state}")


@app.command("link")
def link(
    context: typer.Context,
    user: User,
    subject: Annotated[str, typer.Argument(help="身份提供方给此人的标识 sub / the provider's subject")],
    issuer: Annotated[
        str, typer.Option(help="身份提供方，默认取设置 / provider; by default of the settings")
    ] = "",
    only: Annotated[bool, typer.Option("--only", help="同时取消密码 / take the password away")] = False,
    by: Who = "",
) -> None:
    """把账号关联到统一身份认证的人。Link an account to somebody of the identity provider (OIDC)."""
    from qinglan.flow import linking
    from qinglan.flow.workspace import open_workspace

    shell: Shell = context.obj
    workspace = open_workspace(shell.home)
    named = issuer or workspace.settings.oidc_issuer
    linking.link(workspace.registry, user, named, subject, only=only, **_how(by))
    told = {"user": user, "issuer": named, "subject": subject.strip()}
    shell.give(told) if shell.as_json else shell.out.print(f"{user}: {named} {subject.strip()}", markup=False)


@app.command("unlink")
def unlink(context: typer.Context, user: User, by: Who = "") -> None:
    """解除关联，立即退出。End the link to the identity provider; sessions of the user end."""
    from qinglan.flow import linking

    shell: Shell = context.obj
    linking.unlink(_registry(shell), user, **_how(by))
    shell.give({"user": user, "issuer": ""}) if shell.as_json else shell.out.print(f"{user}: —", markup=False)


@app.command("reset-password")
def reset_password(
    context: typer.Context,
    user: User,
    second: Annotated[
        bool, typer.Option("--second", help="同时关闭二次验证 / turn the second factor off too")
    ] = False,
    by: Who = "",
) -> None:
    """生成新的初始密码，终止其所有登录。Draw a new first password; all sessions of the user end."""
    from qinglan.flow import accounts

    shell: Shell = context.obj
    _told(shell, user, accounts.reset_password(_registry(shell), user, second_too=second, **_how(by)))


@log_app.command("verify")
def verify(
    context: typer.Context,
    head: Annotated[str, typer.Option(help="先前记下的末行校验值 / a head noted down earlier")] = "",
) -> None:
    """逐行校验审计日志；第一处不符会指出行号。Walk the chain; the first row that does not hold is named."""
    from qinglan.flow import audit_log

    shell: Shell = context.obj
    found = audit_log.verify(_registry(shell), known=head)
    if shell.as_json:
        shell.give(found.as_dict())
    elif found.holds:
        shell.out.print(
            shell.say(f"校验通过：{found.count} 行。末行校验值：", f"It verifies: {found.count} rows. Head:")
        )
        shell.out.print(found.head)
    else:
        why = {
            "content": ("内容被改动", "its content was changed"),
            "link": ("其前有行被删除、改动或移位", "a row before it was removed, changed or moved"),
            "head": ("记下的末行不在日志里", "the head that was noted is not in the log"),
        }[found.why]
        row = "" if found.broken is None else shell.say(f"第 {found.broken} 行：", f"row {found.broken}: ")
        shell.out.print(shell.say(f"校验失败，{row}{why[0]}", f"It does not verify: {row}{why[1]}"))
    if not found.holds:
        raise typer.Exit(1)


@log_app.command("show")
def show(
    context: typer.Context,
    who: Annotated[str, typer.Option(help="何人 / who")] = "",
    what: Annotated[str, typer.Option(help="何事（开头） / what, its beginning")] = "",
    subject: Annotated[str, typer.Option(help="对象（一部分） / about, a part of it")] = "",
    limit: Annotated[int, typer.Option(help="列出行数 / rows to list")] = 20,
) -> None:
    """列出最近的记录。The newest entries of the log."""
    from qinglan.flow import audit_log

    shell: Shell = context.obj
    asked = {"who": who, "what": what, "subject": subject}
    rows, _ = audit_log.page(_registry(shell), asked, limit=limit)
    if shell.as_json:
        shell.give(rows)
        return
    shown = [
        (e["id"], f"{e['at'].astimezone(CST):%Y-%m-%d %H:%M:%S}", e["who"], e["what"], e["subject"], e["hash"][:8])
        for e in rows
    ]
    heads = shell.say("序号 时间 何人 何事 对象 校验值", "no. time who what about hash").split()
    shell.table("", [(h, "left") for h in heads], shown)
