// RoostJournal
