"""Documents written and read."""
import json

document = {
    f"key {i}": {"number": i * 1.25, "text": f"line {i}\n\u00e9 \"quoted\"", "list": list(range(i % 20)), "none": None}
    for i in range(400)
}
size = 0
for _ in range(12):
    text = json.dumps(document, sort_keys=True)
    document = json.loads(text)
    size += len(text)
    size += len(json.dumps(document, indent=1))
print(size, document["key 399"])
