extension Journal {
  /// Whether a journal was made in the directory before; if not, opening makes one.
  package static func exists(on disk: any Disk) throws(JournalError) -> Bool {
    try attempt { () throws(DiskError) in try disk.list() }.contains(FileName.identity)
  }
}
