/// A file of the web page, as browsers get it. The files themselves are in `Files`; what is served is this list.
package struct PageFile: Sendable {
  /// Its name below `/ui/`; the page itself has none.
  package let name: String
  /// Its media type, as `Content-Type` says it.
  package let type: String
  package let bytes: [UInt8]

  private init(script name: String, _ bytes: [UInt8]) {
    self.name = name
    type = MediaType.script
    self.bytes = bytes
  }

  private init(_ name: String, _ type: String, _ bytes: [UInt8]) {
    self.name = name
    self.type = type
    self.bytes = bytes
  }

  /// The media types of the page's files.
  package enum MediaType {
    package static let page = "text/html; charset=utf-8"
    /// RFC 9239.
    package static let script = "text/javascript; charset=utf-8"
    package static let style = "text/css; charset=utf-8"
    package static let icon = "image/svg+xml"
  }

  /// All of them.
  package static let all: [PageFile] = [
    PageFile("", MediaType.page, PackageResources.index_html),
    PageFile("page.css", MediaType.style, PackageResources.page_css),
    PageFile("icon.svg", MediaType.icon, PackageResources.icon_svg),
    PageFile(script: "theme.js", PackageResources.theme_js),
    PageFile(script: "main.js", PackageResources.main_js),
    PageFile(script: "api.js", PackageResources.api_js),
    PageFile(script: "session.js", PackageResources.session_js),
    PageFile(script: "stream.js", PackageResources.stream_js),
    PageFile(script: "dom.js", PackageResources.dom_js),
    PageFile(script: "icons.js", PackageResources.icons_js),
    PageFile(script: "format.js", PackageResources.format_js),
    PageFile(script: "notices.js", PackageResources.notices_js),
    PageFile(script: "dialogs.js", PackageResources.dialogs_js),
    PageFile(script: "ask.js", PackageResources.ask_js),
    PageFile(script: "keys.js", PackageResources.keys_js),
    PageFile(script: "actions.js", PackageResources.actions_js),
    PageFile(script: "copies.js", PackageResources.copies_js),
    PageFile(script: "signin.js", PackageResources.signin_js),
    PageFile(script: "instances.js", PackageResources.instances_js),
    PageFile(script: "instance.js", PackageResources.instance_js),
    PageFile(script: "snapshots.js", PackageResources.snapshots_js),
    PageFile(script: "kept.js", PackageResources.kept_js),
    PageFile(script: "backups.js", PackageResources.backups_js),
    PageFile(script: "timespan.js", PackageResources.timespan_js),
    PageFile(script: "transfer.js", PackageResources.transfer_js),
    PageFile(script: "progress.js", PackageResources.progress_js),
    PageFile(script: "usage.js", PackageResources.usage_js),
    PageFile(script: "chart.js", PackageResources.chart_js),
    PageFile(script: "console.js", PackageResources.console_js),
    PageFile(script: "form.js", PackageResources.form_js),
    PageFile(script: "rows.js", PackageResources.rows_js),
    PageFile(script: "devices.js", PackageResources.devices_js),
    PageFile(script: "settings.js", PackageResources.settings_js),
    PageFile(script: "edit.js", PackageResources.edit_js),
    PageFile(script: "pairs.js", PackageResources.pairs_js),
    PageFile(script: "links.js", PackageResources.links_js),
    PageFile(script: "create.js", PackageResources.create_js),
    PageFile(script: "import.js", PackageResources.import_js),
    PageFile(script: "images.js", PackageResources.images_js),
    PageFile(script: "profiles.js", PackageResources.profiles_js),
    PageFile(script: "networks.js", PackageResources.networks_js),
    PageFile(script: "storage.js", PackageResources.storage_js),
    PageFile(script: "newpool.js", PackageResources.newpool_js),
    PageFile(script: "pool.js", PackageResources.pool_js),
    PageFile(script: "pooledit.js", PackageResources.pooledit_js),
    PageFile(script: "sides.js", PackageResources.sides_js),
    PageFile(script: "volumes.js", PackageResources.volumes_js),
    PageFile(script: "volume.js", PackageResources.volume_js),
    PageFile(script: "attachments.js", PackageResources.attachments_js),
    PageFile(script: "rename.js", PackageResources.rename_js),
    PageFile(script: "volumeedit.js", PackageResources.volumeedit_js),
    PageFile(script: "volumesnapshots.js", PackageResources.volumesnapshots_js),
    PageFile(script: "operations.js", PackageResources.operations_js),
    PageFile(script: "events.js", PackageResources.events_js),
  ]
}
