"""Asks Python's `ipaddress` which addresses are global, as a second opinion on src/fetch/guard.rs.

    python3 tests/guard/ask_python.py > tests/guard/python.txt

One address a line, and whether `is_global` says so; then each IPv4 address that it carries, likewise. The addresses are
both edges of every special range, their neighbours, and random ones from a fixed seed.
"""

import ipaddress
import platform
import random

RANGES = """
0.0.0.0/8 0.0.0.0/32 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.0.0/29
192.0.0.8/32 192.0.0.9/32 192.0.0.10/32 192.0.0.170/32 192.0.0.171/32 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24
192.88.99.0/24 192.88.99.2/32 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24
224.0.0.0/4 240.0.0.0/4 255.255.255.255/32

::/128 ::1/128 ::/96 ::ffff:0:0/96 ::ffff:0:0:0/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2000::/3 2001::/23
2001::/32 2001:1::1/128 2001:1::2/128 2001:1::3/128 2001:2::/48 2001:3::/32 2001:4:112::/48 2001:10::/28 2001:20::/28
2001:30::/28 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8
"""
TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
# A public server of Teredo, and a public client as its address carries it: with every bit turned over.
SERVER, CLIENT = 0x08080808, 0x08080808 ^ 0xFFFFFFFF


def edges(network):
    first, last = int(network.network_address), int(network.broadcast_address)
    numbers = {first - 1, first, last, last + 1}
    of = type(network.network_address)
    return {of(number) for number in numbers if 0 <= number < 2**network.max_prefixlen}


def within(network, count, chance):
    of, first = type(network.network_address), int(network.network_address)
    return {of(first + chance.randrange(network.num_addresses)) for _ in range(count)}


def carriers(address):
    """IPv6 addresses that carry this IPv4 address."""
    v4 = int(address)
    numbers = [
        0xFFFF << 32 | v4,
        int(TRANSLATED.network_address) | v4,
        0x2002 << 112 | v4 << 80 | 1,
        0x20010000 << 96 | v4 << 64 | CLIENT,
        0x20010000 << 96 | SERVER << 64 | v4 ^ 0xFFFFFFFF,
    ]
    return {ipaddress.IPv6Address(number) for number in numbers}


def carried(address):
    """The IPv4 addresses in an IPv6 address, as the library sees them; the translation prefix it does not know."""
    if address.version == 4:
        return []
    if address in TRANSLATED:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return list(address.teredo or filter(None, [address.ipv4_mapped or address.sixtofour]))


def main():
    chance = random.Random(6890)
    networks = [ipaddress.ip_network(text) for text in RANGES.split()]
    everything = [("0.0.0.0/0", 1500), ("::/0", 500), ("2000::/3", 1000)]
    addresses = set()
    for network in networks:
        addresses |= edges(network) | within(network, 10, chance)
    for text, count in everything:
        addresses |= within(ipaddress.ip_network(text), count, chance)
    for network in networks:
        if network.version == 4:
            for edge in edges(network):
                addresses |= carriers(edge)
    print(f"# What `ipaddress` of Python {platform.python_version()} says; made by ask_python.py, which says how.")
    for address in sorted(addresses, key=lambda address: (address.version, int(address))):
        says = lambda each: f"{each} {'yes' if each.is_global else 'no'}"
        print(says(address), *map(says, carried(address)))


main()
