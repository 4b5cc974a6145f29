internal import GuestMemory

/// Harts report the first write to a page and keep the right to write it; a page is in no account but its flag.
extension HartCluster: DirtyPageSource {
  package func dropWriteRights() {
    let posted = harts.map { ($0, $0.post(.dropAllWrites)) }
    for (hart, _) in posted { hart.kick() }
    for (hart, ticket) in posted { hart.sleepUntilServed(ticket) }
  }
}
