/// What kvctl can be asked to do.
enum Subcommand: String, CaseIterable {
  case put, get, range, del, txn, watch, lease, lock, status, member, transfer, session, outcome,
    journal, help, version

  var synopsis: String {
    switch self {
    case .put: "put KEY VALUE                   give a key a value; VALUE - reads standard input"
    case .get: "get KEY [--prefix] [--local]    print a key's value, or all keys that begin so"
    case .range: "range [START [END]]             print the keys from START up to END"
    case .del: "del KEY [--prefix]              remove a key, or all keys that begin so"
    case .txn: "txn [LINE ...]                  do several things at once, under conditions"
    case .watch: "watch KEY [--prefix]            print every change as it happens"
    case .lease: "lease grant|renew|revoke|...    lifetimes that keys can be attached to"
    case .lock: "lock NAME -- COMMAND            run a command under a lock; list, show, release"
    case .status: "status                          how every node is"
    case .member: "member list|add|remove|...      who belongs to the cluster"
    case .transfer: "transfer [ID]                   hand leadership to another member"
    case .session: "session list                    who is connected under a session"
    case .outcome: "outcome SESSION SEQUENCE        what became of a request that got no answer"
    case .journal: "journal check|dump PATH         look at the files of a server that does not run"
    case .help: "help [COMMAND]                  this, or more about a command"
    case .version: "version                         the version of this program"
    }
  }

  var explanation: String {
    switch self {
    case .put: Self.putExplanation
    case .get: Self.getExplanation
    case .range: Self.rangeExplanation
    case .del: Self.delExplanation
    case .txn: TransactionCommand.explanation
    case .watch: WatchCommand.explanation
    case .lease: LeaseCommand.explanation
    case .lock: LockCommand.explanation
    case .status:
      """
      usage: kvctl status

      Asks every endpoint how it is. In a pipe: one line a node, its fields separated by tabs: node, address, role, term, leader,
      committed, applied, revision, quiet milliseconds, up milliseconds. Exit code 0 if a leader serves, 5 if nobody answered, else 6.
      """
    case .member: MemberCommand.explanation
    case .transfer: MemberCommand.transferExplanation
    case .session: SessionCommand.explanation
    case .outcome: OutcomeCommand.explanation
    case .journal: JournalCommand.explanation
    case .help: "usage: kvctl help [COMMAND]"
    case .version: "usage: kvctl version"
    }
  }

  private static let putExplanation = """
    usage: kvctl put KEY VALUE [OPTIONS]

    Gives KEY a value and prints the store's new revision. VALUE - takes the value from standard input.
      --if-absent, --if-present, --if-version N, --if-revision N, --if-value TEXT
                           only if the key is so; else it keeps its value, and the exit code is 4
      --ttl SECONDS        the key lives so long
      --lease ID           the key lives as long as that lease
      --keep-life          the key lives as long as what it replaces
      --lock NAME --token N  only if that grant of the lock still holds (see kvctl help lock)
      --previous           also print the value that was there before
      --json               print JSON
    The request is sent again until it is answered, and takes effect once. Exit code 7: nobody knows whether it did.
    """

  private static let getExplanation = """
    usage: kvctl get KEY [--local [--max-age SECONDS]] [--at REVISION] [--json]
           kvctl get KEY --prefix [the options of range]

    Prints the value of KEY, the newest that was committed. A key that has none: exit code 3. In a pipe exactly the value's bytes are
    written, without a line break. With --local the asked node answers by itself: fast, without a leader, maybe old; with
    --max-age only a node that heard a leader so long ago at most. --at reads the past.
    With --prefix every key that begins with KEY is printed with its value, as kvctl range does.
    """

  private static let rangeExplanation = """
    usage: kvctl range [START [END]] [--limit N] [--reverse] [--keys] [--count] [--at REVISION] [--local [--max-age SECONDS]] [--json]

    Prints the keys from START up to END, which is not in, each with its value behind a tab; without END to the end, without START all. A line
    break within is printed as \\n. --keys leaves the values out, --count prints how many there are, --reverse begins at the end.
    """

  private static let delExplanation = """
    usage: kvctl del KEY [--if-version N | --if-revision N | --if-value TEXT] [--lock NAME --token N] [--previous] [--json]
           kvctl del KEY --prefix [--lock NAME --token N] [--previous] [--json]

    Removes KEY, or all keys that begin with KEY, in one step. Nothing there: exit code 3. Not so as demanded: exit code 4.
    """
}
