"""The part of the walk that is about disks: kept states, copies, backups, volumes and pools."""
import ctypes, filecmp, functools, json, os, re, shutil, signal, socket, subprocess, tempfile

from house import die_with_parent, say

# unshare(2) and mount(2).
NEW_MOUNTS, PRIVATE = 0x20000, 1 << 18 | 1 << 14


def mount_apart():
    """Has what is mounted from now on be seen by this process and its children alone, and be gone with them. False where
    that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.unshare(NEW_MOUNTS) == 0 and libc.mount(b"none", b"/", None, PRIVATE, None) == 0


class Disks:
    """Steps of a walk; what they have in common is in `Walk`."""

    # MARK: what is common

    @functools.cached_property
    def places(self):
        """A folder for pools, which is not the daemon's own."""
        self.folder = tempfile.TemporaryDirectory(prefix="volary-page.", ignore_cleanup_errors=True)
        return self.folder.name

    def end(self):
        # A machine may still write there.
        if self.has_mounts:
            subprocess.run(["umount", "-l", os.path.join(self.places, "small")], capture_output=True)

    def inside(self, command, name="web"):
        """What a command in a guest says, once the guest listens."""
        def asked():
            outcome = self.house.run("exec", name, "--", "sh", "-c", command, check=False)
            return [outcome.stdout.strip()] if outcome.returncode == 0 else None
        return self.until(f"{command} in {name}", asked)[0]

    def dialog(self):
        return self.page.get_by_role("dialog")

    def ask(self, button, fields, action, boxes=()):
        """Presses a button, fills in the dialog that comes by the keyboard, and presses Enter."""
        button.click()
        self.dialog().wait_for()
        self.answer(fields, boxes)
        self.page.wait_for_timeout(100)
        self.picture(f"ask-{action.lower()}")
        self.dialog().get_by_role("button", name=action, exact=True).focus()
        self.page.keyboard.press("Enter")

    def answer(self, fields, boxes=()):
        for name, text in fields.items():
            control = self.dialog().locator(f"[name='{name}']")
            if control.evaluate("element => element.tagName") == "SELECT":
                control.select_option(text)
            elif control.get_attribute("type") == "file":
                control.set_input_files(text)
            else:
                control.fill(text)
        for name in boxes:
            self.dialog().locator(f"[name='{name}']").check()

    def asked(self, *arguments, **more):
        self.ask(*arguments, **more)
        self.dialog().wait_for(state="detached")

    def told(self, words, status):
        """The dialog stays, and tells within it what was wrong in the daemon's words; Escape leaves it."""
        self.until(words, lambda: re.search(words, " ".join(self.dialog().locator(".field-error").all_inner_texts())))
        self.picture(f"told-{status}")
        self.page.keyboard.press("Escape")
        self.dialog().wait_for(state="detached")
        self.expected = ()

    def press(self, action):
        return self.page.locator(f".buttons:not(.tight) > [data-action={action}]")

    def confirmed(self, button, action="Delete"):
        button.click()
        self.dialog().get_by_role("button", name=action, exact=True).click()
        self.dialog().wait_for(state="detached")

    # MARK: instances

    def kept_state(self):
        """Snapshots with memory, and machines that stop with it: what ran goes on."""
        self.open("instances/web", "[data-action=snapshot]")
        boot = self.inside("cat /proc/sys/kernel/random/boot_id; echo 1 >/run/kept")
        self.asked(self.press("snapshot"), {"name": "warm", "description": "As <b>hot</b>", "expiry": "3d 12H"}, "Create", boxes=["stateful"])
        row = self.page.locator("[data-snapshot=warm]")
        row.wait_for()
        assert "As <b>hot</b>" in row.inner_text() and "yes" in row.inner_text(), row.inner_text()
        assert self.house.query("/1.0/instances/web/snapshots/warm")["stateful"] is True
        self.inside("echo 2 >/run/kept")
        row.locator("[data-action=restore]").click()
        assert self.dialog().locator("[name=stateful]").is_checked()
        self.dialog().get_by_role("button", name="Restore").click()
        self.dialog().wait_for(state="detached")
        self.until("what ran", lambda: self.inside("cat /proc/sys/kernel/random/boot_id /run/kept") == f"{boot}\n1")
        self.until("the operation's end", lambda: not self.house.query("/1.0/operations").get("running"))
        self.confirmed(row.locator("[data-action=delete]"))
        row.wait_for(state="detached")

        self.confirmed(self.press("keep"), "Stop with state")
        self.until("a stopped instance", lambda: self.chip() == "Stopped")
        assert self.house.query("/1.0/instances/web")["stateful"] is True
        self.page.get_by_text("goes on from where it stopped").wait_for()
        self.press("anew").wait_for()
        self.picture("kept")
        self.press("start").click()
        self.until("a running instance", lambda: self.chip() == "Running")
        assert self.inside("cat /proc/sys/kernel/random/boot_id /run/kept") == f"{boot}\n1"
        say("kept with its memory by a snapshot and by a stop, and what ran went on")

    def copies(self):
        """A fork of what runs, a copy of it, and more room while it runs."""
        self.open("instances/web", "[data-action=fork]")
        boot = self.inside("cat /proc/sys/kernel/random/boot_id")
        self.expected = ("409",)
        self.ask(self.press("fork"), {"name": "other"}, "Fork")
        self.told("`other`", 409)
        self.asked(self.press("fork"), {"name": "forked"}, "Fork")
        self.until("the fork's page", lambda: self.page.locator("#title").inner_text() == "forked" and self.chip() == "Running")
        assert self.inside("cat /proc/sys/kernel/random/boot_id", "forked") == boot
        self.open("instances/web", "[data-action=copy]")
        self.house.run("delete", "-f", "forked")
        self.expected = ()
        self.asked(self.press("copy"), {"name": "copied"}, "Copy", boxes=["alone"])
        self.until("the copy's page", lambda: self.page.locator("#title").inner_text() == "copied" and self.chip() == "Stopped")
        self.open("instances/web", "[data-action=resize]")
        self.house.run("delete", "copied")

        total = self.house.query("/1.0/instances/web/state")["disk"]["root"]["total"]
        self.expected = ("400",)
        self.ask(self.press("resize"), {"size": "1MiB"}, "Resize")
        self.told("smaller|at least", 400)
        self.asked(self.press("resize"), {"size": f"{(total >> 20) + 512}MiB"}, "Resize")
        size = "cat /sys/block/vda/size"
        self.until("a larger disk in the guest", lambda: int(self.inside(size)) * 512 == total + (512 << 20))
        say("forked, copied, and its disk made larger while it runs")

    def backups(self):
        """A backup is made, fetched, and made an instance of."""
        self.open("instances/web", "[data-action=backup]")
        self.press("backup").click()
        self.answer({"name": "nightly", "expiry": "soon"})
        self.page.keyboard.press("Enter")
        self.until("what is wrong", lambda: "3d 12H" in self.dialog().locator("[data-field=expiry] .field-error").inner_text())
        self.page.keyboard.press("Escape")
        self.asked(self.press("backup"), {"name": "nightly", "expiry": "2w"}, "Create", boxes=["alone"])
        row = self.page.locator("[data-backup=nightly]")
        row.wait_for()
        made = self.house.query("/1.0/instances/web/backups/nightly")
        assert not made["expires_at"].startswith("0001") and made["instance_only"], made
        assert re.search(r"[\d.]+ [KM]iB", row.inner_text()), row.inner_text()
        self.picture("backups")
        self.left_off(row)
        file = self.fetched(row, "web-nightly.tar.zst")
        self.house.run("backup", "export", "web", "nightly", file + ".cli")
        assert filecmp.cmp(file, file + ".cli", shallow=False)
        self.confirmed(row.locator("[data-action=delete]"))
        row.wait_for(state="detached")
        assert self.house.query("/1.0/instances/web/backups") == []

        # And back, under another name.
        self.open("instances")
        self.page.get_by_role("link", name="Import").click()
        self.until("focus in the form", lambda: self.focused("name") == "file")
        self.page.locator("[name=file]").set_input_files(__file__)
        self.page.locator("[name=name]").fill("again")
        self.expected = ("400",)
        self.page.keyboard.press("Enter")
        self.until("the daemon's words", lambda: self.page.locator("[data-field=file] .field-error").inner_text())
        self.picture("import-wrong")
        self.page.locator("[name=file]").set_input_files(file)
        self.page.locator("[name=name]").fill("web")
        self.expected = ("409",)
        self.page.keyboard.press("Enter")
        self.until("the daemon's words", lambda: "`web`" in self.page.locator("[data-field=name] .field-error").inner_text())
        self.expected = ()
        self.page.locator("[name=name]").fill("again")
        self.page.keyboard.press("Enter")
        self.until("what it was made of", lambda: self.page.locator("#title").inner_text() == "again" and self.chip() == "Stopped")
        assert self.house.query("/1.0/instances/again")["config"]["limits.memory"] == "256MiB"
        self.open("instances", "[data-row=again]")
        self.house.run("delete", "again")
        say("a backup made, fetched, deleted, and made an instance of")

    def left_off(self, row):
        """Over a slow line, how far a file is can be seen, and it can be left off."""
        line = self.context.new_cdp_session(self.page)
        slow = {"offline": False, "latency": 0, "downloadThroughput": 200_000, "uploadThroughput": -1}
        line.send("Network.enable")
        line.send("Network.emulateNetworkConditions", slow)
        row.locator("[data-action=download]").click()
        progress = self.page.locator("#backups .progress")
        self.until("how far it is", lambda: re.search(r"fetching nightly: [\d.]+ .*B of [\d.]+ .iB", progress.inner_text()))
        self.picture("fetching")
        progress.get_by_role("button", name="Cancel").click()
        progress.wait_for(state="hidden")
        assert not self.page.locator(".notice").all_inner_texts(), self.page.locator(".notice").all_inner_texts()
        line.send("Network.emulateNetworkConditions", {**slow, "downloadThroughput": -1})
        line.detach()

    def fetched(self, row, name):
        """The file that a row's button has the browser save."""
        with self.page.expect_download() as download:
            row.locator("[data-action=download]").click()
        assert download.value.suggested_filename == name, download.value.suggested_filename
        path = os.path.join(self.house.folder, name)
        download.value.save_as(path)
        return path

    # MARK: volumes

    def volumes(self):
        """A volume of a pool: made, attached, enlarged while a guest has it, kept, fetched, brought back."""
        self.open("storage")
        self.page.locator("[data-row=default]").get_by_role("link", name="default", exact=True).click()
        self.page.get_by_role("heading", name="default", exact=True).wait_for()
        self.expected = ("400",)
        self.ask(self.press("new-volume"), {"name": "data", "size": "1B"}, "Create")
        self.told("size", 400)
        self.asked(self.press("new-volume"), {"name": "data", "size": "64MiB", "description": "<i>things</i>"}, "Create")
        row = self.page.locator("[data-row='custom/data']")
        row.wait_for()
        assert "64.0 MiB" in row.inner_text() and "<i>things</i>" in row.inner_text(), row.inner_text()
        # Instances' own disks are there too.
        self.page.locator("[data-row='virtual-machine/web']").get_by_role("link", name="web").first.wait_for()
        self.picture("pool")
        row.get_by_role("link", name="data").click()
        self.page.get_by_role("heading", name="data", exact=True).wait_for()
        # What runs is not given another disk, in the daemon's words.
        self.expected = ("409", "400")
        self.ask(self.press("attach"), {"instance": "web"}, "Attach")
        self.told("stop|run", 409)
        self.asked(self.press("attach"), {"instance": "other"}, "Attach")
        holder = self.page.locator("[data-holder=other]")
        holder.wait_for()
        assert self.house.query("/1.0/instances/other")["devices"]["data"] == {"type": "disk", "pool": "default", "source": "data"}
        assert not self.press("delete").is_visible()
        self.full_pool()
        self.open("storage/default/data", "#backups")
        self.asked(self.press("resize"), {"size": "96MiB"}, "Resize")
        size = 'for d in /sys/block/vd*; do grep -qx data $d/serial && cat $d/size; done; true'
        self.until("a larger disk in the guest", lambda: self.inside(size, "other") == str(96 << 11))
        self.asked(self.press("edit"), {"description": "<b>things</b>", "snapshots.expiry": "4w"}, "Save", boxes=["shared"])
        saved = self.house.query("/1.0/storage-pools/default/volumes/custom/data")
        assert saved["description"] == "<b>things</b>" and saved["config"]["security.shared"] == "true", saved
        self.until("its size", lambda: "96.0 MiB" in self.page.locator(".facts").inner_text())

        self.asked(self.press("snapshot"), {"name": "first"}, "Create")
        self.asked(self.page.locator("[data-snapshot=first] [data-action=rename]"), {"name": "one"}, "Rename")
        row = self.page.locator("[data-snapshot=one]")
        row.wait_for()
        self.expected = ("409",)
        self.ask(row.locator("[data-action=restore]"), {}, "Restore")
        self.told("other", 409)
        self.house.run("stop", "-f", "other")
        self.asked(row.locator("[data-action=restore]"), {}, "Restore")
        self.asked(row.locator("[data-action=copy]"), {"name": "twin"}, "Copy")
        self.until("the copy's page", lambda: self.page.locator("#title").inner_text() == "twin")
        self.expected = ("404",)
        self.asked(self.press("rename"), {"name": "pair"}, "Rename")
        self.until("its page by that name", lambda: self.page.locator("#title").inner_text() == "pair")
        # What is gone may be asked for once more.
        self.expected = ("404",)
        self.confirmed(self.press("delete"))
        self.until("the pool's page", lambda: self.page.locator("#title").inner_text() == "default")
        self.expected = ()

        self.open("storage/default/data", "#backups")
        self.asked(self.press("backup"), {"name": "daily", "packing": "none"}, "Create")
        self.asked(self.page.locator("[data-backup=daily] [data-action=rename]"), {"name": "weekly"}, "Rename")
        row = self.page.locator("[data-backup=weekly]")
        row.wait_for()
        file = self.fetched(row, "data-weekly.tar")
        self.open("storage/default", "[data-action=import-volume]")
        self.asked(self.press("import-volume"), {"file": file, "name": "fetched"}, "Import")
        row = self.page.locator("[data-row='custom/fetched']")
        self.until("what was brought", lambda: "96.0 MiB" in row.inner_text())
        self.confirmed(row.locator("[data-action=delete]"))
        row.wait_for(state="detached")
        self.open("storage/default/data", "[data-holder=other]")
        self.picture("volume")
        self.page.emulate_media(color_scheme="dark")
        self.picture("volume-dark")
        self.page.emulate_media(color_scheme="light")
        self.asked(holder.locator("[data-action=detach]"), {}, "Detach")
        holder.wait_for(state="detached")
        assert "data" not in self.house.query("/1.0/instances/other")["devices"]
        say("a volume made, attached, enlarged, kept, copied, fetched, brought back and detached")

    def full_pool(self):
        """A pool without room: the machine that writes there stands still, says so, and goes on when there is some."""
        place = os.path.join(self.places, "small")
        os.mkdir(place)
        mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", place]
        if not self.has_mounts or subprocess.run(mount, capture_output=True).returncode != 0:
            self.house.run("start", "other")
            return say("a machine that waits for room is not shown: nothing can be mounted here")
        self.house.run("config", "set", "core.overcommit_disk=100")
        self.house.run("storage", "create", "small", "dir", f"source={place}")
        self.house.run("storage", "volume", "create", "small", "wide", "size=64MiB")
        self.house.run("storage", "volume", "attach", "small", "wide", "other")
        self.house.run("start", "other")
        self.open("instances", "[data-row=other]")
        chip = self.page.locator("[data-row=other] .chip")
        self.until("a running instance", lambda: chip.inner_text() == "Running")
        disk = 'for d in /sys/block/vd*; do grep -qx wide $d/serial && disk=/dev/$(basename $d); done;'
        self.inside(f"{disk} nohup sh -c \"head -c 32M /dev/urandom >$disk; sync; echo 1 >/run/written\" >/dev/null 2>&1 &", "other")
        self.until("a machine that waits", lambda: chip.inner_text() == "No room")
        reason = self.page.locator("[data-row=other] .reason")
        assert "`small` has no room" in reason.inner_text() and reason.get_attribute("data-urgent") is not None
        self.open("instances/other", ".facts")
        self.until("a machine that waits", lambda: self.chip() == "No room" and "`small` has no room" in self.page.locator("p.reason").inner_text())
        self.picture("no-room")
        subprocess.run(["mount", "-o", "remount,size=200m", place], check=True)
        self.until("a machine that goes on", lambda: self.chip() == "Running")
        assert self.inside("while [ ! -e /run/written ]; do sleep 0.2; done; cat /run/written", "other") == "1"

    # MARK: pools

    def mirror(self):
        """A pool in two places: one side goes and comes back."""
        one, two = (os.path.join(self.places, name) for name in ("one", "two"))
        os.mkdir(one)
        self.open("new-pool")
        self.fill("name", "safe")
        self.fill("source", one)
        self.fill("mirror", two)
        self.expected = ("404",)
        self.page.keyboard.press("Enter")
        self.until("the daemon's words", lambda: "no directory" in self.page.locator("[data-field=mirror] .field-error").inner_text())
        self.expected = ()
        os.mkdir(two)
        self.page.keyboard.press("Enter")
        row = self.page.locator("[data-row=safe]")
        row.wait_for()
        assert "mirrored" in row.inner_text() and two in row.inner_text(), row.inner_text()
        row.get_by_role("link", name="safe").click()
        side = lambda path: self.page.locator(f"[data-side='{path}'] .chip").inner_text()
        self.page.locator("[data-side]").first.wait_for()
        assert [side(one), side(two)] == ["In sync", "In sync"]
        os.rename(two, two + ".away")
        self.until("a side that is missing", lambda: [side(one), side(two)] == ["In sync", "Missing"])
        assert self.chip() == "Degraded" and two in self.page.locator("p.reason").inner_text()
        self.picture("mirror-missing")
        self.house.run("storage", "volume", "create", "safe", "small", "size=8MiB")
        self.expected = ("409",)
        self.ask(self.press("repair"), {}, "Repair")
        self.told("not there", 409)
        # It is back, and lacks what was made meanwhile.
        os.rename(two + ".away", two)
        self.until("a side that is behind", lambda: side(two) == "Behind")
        # A repair that somebody else has begun, at a moment of it.
        self.page.route("**/1.0/operations?*", lambda route: route.fulfill(json={"metadata": {"running": [{
            "status_code": 103, "description": "Repairing", "resources": {"storage_pools": ["/1.0/storage-pools/safe"]},
            "metadata": {"progress": {"phase": "rebuilding small", "done": 43, "total": 100, "unit": "bytes"}}}]}}))
        self.until("how far it is", lambda: side(two) == "Rebuilding" and "rebuilding small (43 %)" in self.page.locator("#sides .progress").inner_text())
        self.picture("mirror-rebuilding")
        self.page.unroute("**/1.0/operations?*")
        self.press("repair").wait_for()
        self.asked(self.press("repair"), {}, "Repair")
        self.until("both sides", lambda: side(two) == "In sync")
        # It is lost for good, and an empty directory takes its place.
        shutil.rmtree(two)
        os.mkdir(two)
        self.until("a side that is missing", lambda: side(two) == "Missing")
        self.asked(self.press("repair"), {}, "Repair", boxes=["replace"])
        self.until("both sides", lambda: [side(one), side(two)] == ["In sync", "In sync"])
        self.until("the operation's end", lambda: not self.house.query("/1.0/operations").get("running"))
        self.open("storage", "[data-row=safe]")
        # The page may be asking how full it is, because of its volume, when it goes.
        self.expected = ("404",)
        self.house.run("storage", "volume", "delete", "safe", "small")
        self.house.run("storage", "delete", "safe")
        self.page.locator("[data-row=safe]").wait_for(state="detached")
        self.expected = ()
        say("a mirrored pool made; a side was missing, came back, and was replaced")

    def server_pool(self):
        """A pool whose disks a server has, while that is there and when it is not."""
        if not shutil.which("qemu-nbd"):
            return say("a server's pool is not shown: there is no qemu-nbd")
        disk = os.path.join(self.house.folder, "central.raw")
        with open(disk, "wb") as file:
            file.truncate(48 << 20)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        server = subprocess.Popen(["qemu-nbd", "-t", "-x", "central-1", "-f", "raw", "-b", "127.0.0.1", "-p", str(port), disk],
                                  stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        try:
            self.open("new-pool")
            self.fill("name", "central")
            self.page.locator("select[name=driver]").select_option("nbd")
            assert not self.page.locator("[name=mirror]").is_visible()
            self.fill("server", "store:10809")
            self.page.keyboard.press("Enter")
            self.until("what is wrong", lambda: "nbd://" in self.page.locator("[data-field=server] .field-error").inner_text())
            self.fill("server", f"nbd://127.0.0.1:{port}")
            self.page.keyboard.press("Enter")
            row = self.page.locator("[data-row=central]")
            row.wait_for()
            # The server may take a moment to listen.
            self.expected = ("409",)
            row.get_by_role("link", name="central").click()
            own = self.page.locator("[data-row='custom/central-1']")
            self.until("the server's disk", lambda: own.count() and "48.0 MiB" in own.inner_text())
            assert self.chip() == "Created"
            self.asked(self.page.locator(".head [data-action=edit]"), {"description": "In the cellar", "projects": "default,lab"}, "Save")
            self.page.get_by_text("In the cellar").wait_for()
            assert self.house.query("/1.0/storage-pools/central")["config"]["volary.projects"] == "default,lab"
            assert not self.press("new-volume").is_visible()
            self.picture("server")
            server.send_signal(signal.SIGTERM)
            server.wait(20)
            self.until("a server that is away", lambda: self.chip() == "Unavailable" and "cannot be asked" in self.page.locator("p.reason").inner_text())
            self.open("storage", "[data-row=central]")
            self.until("a server that is away", lambda: row.locator(".chip").inner_text() == "Unavailable")
            self.confirmed(row.locator("[data-action=delete]"))
            row.wait_for(state="detached")
            self.expected = ()
        finally:
            server.kill()
            server.wait()
        say("a server's pool made; the server's disks were listed, and its end was told")

    def who_may_not(self):
        """Whoever may only look hears it in the daemon's own line."""
        address = self.house.run("page", "--role", "monitor").stdout.strip()
        other = self.context.new_page()
        other.goto(address)
        other.get_by_role("heading", name="Instances").wait_for()
        other.goto(f"{self.base}/ui/#/storage/default")
        other.locator("[data-action=new-volume]").click()
        other.get_by_role("dialog").locator("[name=name]").fill("mine")
        other.keyboard.press("Enter")
        words = other.get_by_role("dialog").locator(".field-error").filter(has_text=re.compile("may|right|role"))
        words.first.wait_for()
        # With which the window at the daemon's address is signed in again.
        other.close()
        say("who may only look is told so")

    def volumes_end(self):
        """What is left is deleted, where it was made."""
        self.open("storage/default/data", "[data-snapshot=one]")
        for kind, name in (("snapshot", "one"), ("backup", "weekly")):
            row = self.page.locator(f"[data-{kind}={name}]")
            self.confirmed(row.locator("[data-action=delete]"))
            row.wait_for(state="detached")
        self.expected = ("404",)
        self.confirmed(self.press("delete"))
        self.until("the pool's page", lambda: self.page.locator("#title").inner_text() == "default")
        self.expected = ()
        custom = [one for one in self.house.query("/1.0/storage-pools/default/volumes?recursion=1") if one["type"] == "custom"]
        assert custom == [], json.dumps(custom)
        say("the volume, its snapshot and its backup deleted")
