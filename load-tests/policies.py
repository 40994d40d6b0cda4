"""A seeded, realistic policy set: most policies speak of one app and some groups, a few of everybody."""
import random

COUNTRIES = ["DE", "US", "FR", "GB", "JP", "BR", "IN", "CA", "NL", "IT"]


def networks(count, seed=7):
    """Distinct /24 networks; none holds an address that the scenarios use."""
    return [f"{11 + n // 65536 % 80}.{n // 256 % 256}.{n % 256}.0/24" for n in range(count)]


def policy(number, apps, choice):
    """One policy, which lets the scenarios' allowed requests pass and refuses others."""
    everywhere = number % 20 == 0
    target = '["all"]' if everywhere else f'["app-{choice.randrange(apps):03}"]'
    group = f"group:g{choice.randrange(500):04}"
    kind = number % 8
    users, conditions, state = f'include = ["{group}"], exclude = ["group:emergency-access"]', [], "enabled"
    grant = 'operator = "and", controls = ["mfa"]'
    if kind == 0:
        users = 'include = ["all"], exclude = ["group:emergency-access"]'
    elif kind == 1:
        grant = 'operator = "or", controls = ["compliant-device", "hybrid-joined-device"]'
        conditions.append('locations = { include = ["all"], exclude = ["all-trusted"] }')
    elif kind == 2:
        users, grant = 'include = ["group:contractors"]', None
        conditions.append('locations = { include = ["all"], exclude = ["branches"] }')
    elif kind == 3:
        grant = None
        conditions.append('locations = { include = ["embargo"] }')
    elif kind == 4:
        conditions.append('platforms = { include = ["android", "ios"] }')
        grant = 'operator = "and", controls = ["approved-client-app"]'
    elif kind == 5:
        conditions.append("device-filter = { mode = \"exclude\", rule = 'device.trustType -eq \"ServerAD\" -or device.isCompliant -eq True' }")
        grant = None
    elif kind == 6:
        state = "report-only"
        grant = 'operator = "and", controls = ["strength:phishing-resistant-mfa"]'
        users = 'include = ["group:pilot"]'
    elif kind == 7:
        conditions.append('sign-in-risk = ["high", "medium"]')
        grant = None
    lines = [f'[[policy]]\nid = "p{number:05}"\nstate = "{state}"\nusers = {{ {users} }}\napps = {{ include = {target} }}']
    lines.append('grant = "block"' if grant is None else f"grant = {{ {grant} }}")
    if conditions:
        lines.append("[policy.conditions]\n" + "\n".join(conditions))
    return "\n".join(lines) + "\n"


def write(folder, count, apps=100, seed=1):
    choice = random.Random(seed)
    (folder / "policies").mkdir(parents=True, exist_ok=True)
    (folder / "policies" / "embargo.toml").write_text(
        '[[policy]]\nid = "embargo"\nusers = { include = ["all"], exclude = ["group:emergency-access"] }\napps = { include = ["all"] }\n'
        'grant = "block"\n[policy.conditions]\nlocations = { include = ["embargo"] }\n'
    )
    size = 1_000
    for start in range(0, count - 1, size):
        text = "\n".join(policy(n, apps, choice) for n in range(start, min(start + size, count - 1)))
        (folder / "policies" / f"set-{start // size:03}.toml").write_text(text)
    listed = ", ".join(f'"{one}"' for one in networks(1_000))
    (folder / "locations.toml").write_text(
        f'[[location]]\nname = "branches"\ntrusted = true\nnetworks = [{listed}]\n\n'
        '[[location]]\nname = "office"\ntrusted = true\nnetworks = ["203.0.113.0/24"]\n\n'
        '[[location]]\nname = "embargo"\nnetworks = ["198.51.100.0/24"]\n'
    )
