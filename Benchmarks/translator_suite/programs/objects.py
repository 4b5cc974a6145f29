"""Objects, methods, attributes, dictionaries and exceptions."""


class Account:
    count = 0

    def __init__(self, name, balance):
        self.name = name
        self.balance = balance
        self.log = []
        Account.count += 1

    def move(self, other, amount):
        if amount > self.balance:
            raise ValueError(self.name)
        self.balance -= amount
        other.balance += amount
        self.log.append((other.name, amount))

    @property
    def rich(self):
        return self.balance > 1000


class Savings(Account):
    def move(self, other, amount):
        super().move(other, amount - amount % 10)


accounts = {f"account-{i}": (Savings if i % 3 else Account)(f"account-{i}", 1000 + i) for i in range(200)}
names, refused, state = list(accounts), 0, 7
for _ in range(40000):
    state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    giver, taker = accounts[names[state >> 8 & 127]], accounts[names[state >> 4 & 127]]
    try:
        giver.move(taker, state % 300)
    except ValueError:
        refused += 1
print(Account.count, refused, sum(a.rich for a in accounts.values()), sum(len(a.log) for a in accounts.values()))
print(sorted((a.balance, a.name) for a in accounts.values())[:5])
