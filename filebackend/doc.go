// Package filebackend keeps files in a folder. It is the plainest of stores:
// for a disk, a memory stick or a mounted share, and for trying out what will
// run against a store far away.
//
// A file is whole or not there. Parts are written at their offsets into one
// hidden file in the folder where the file will be, in any order and
// concurrently, and Finish renames it. Data is synced before a part is
// acknowledged, and the folders before Finish returns, so what was reported
// done survives a power cut, as far as the disk keeps its word.
// [Options].NoSync leaves that out.
//
//	b, err := filebackend.New("/srv/backups", nil)
//	if err != nil {
//		return err
//	}
//	defer b.Close()
//	file, err := sluice.Upload(ctx, b, "db/monday.dump", nil, dump)
//
// # Names
//
// The name of a file is its path in the folder, with slashes on every system,
// as [io/fs.ValidPath] and [path/filepath.Localize] want it. Folders on the way
// are made, and stay when an upload is cancelled; the folder given to [New] is
// not made, so that a disk that is not mounted is noticed. No name leads out of
// the folder, and neither does a symbolic link in it, because all access goes
// through an [os.Root]: a link that is absolute or points outside is refused.
//
// A regular file of that name is replaced, in one step, by the one that is
// finished; with [Options].NoOverwrite the new one is refused. Nothing else is
// replaced: a symbolic link in the place of the file is refused, wherever it
// leads, and so are devices, FIFOs, sockets and folders.
//
// A folder has no place for the content type and the metadata of a finished
// file: they are not kept. A new file has the permissions 0600, and one that
// replaces another of the same user has those of that, but for set-user-ID and
// the like; see [Options].Mode.
// It belongs to the user that uploads it. Folders are made with 0777, less the
// umask.
//
// # Unfinished files
//
// An unfinished large file is two files in the folder of its name:
//
//	.sluice-ID          the data
//	.sluice-ID.record   lines of JSON: what the file is to be, and the parts stored, each with its CRC-32C
//
// where ID begins with the time of the start in UTC. No other file's name may
// begin with ".sluice-". A line is written when the data of its part is on the
// disk, so that a crash at any moment, also while UploadFile runs, leaves what
// [Backend.Unfinished] lists and [Backend.ResumeLargeFile] resumes. A
// crash in the moment between the making or the removal of the two leaves a
// record alone: that means nothing, and may be deleted. So may data alone,
// which a power cut in that moment leaves where the file system does not keep
// the order of the two.
//
// A record that is damaged hides no other: Unfinished lists them all, and then
// its error names the path of the damaged one. Nothing resumes that: it
// may be deleted, with its data.
//
// The CRC-32C of a part is compared when it is written, when a stream is
// resumed with the replayed one, and, by Finish, with the data on the disk of
// all parts that an earlier handle stored. Where that was damaged, Finish
// fails, and the part is not stored any more: resume once more to send it. It
// costs next to nothing beside a disk, and finds accidents: another dump, a bit
// that fell over. It does not protect against bytes that are made to fit;
// nothing in a folder that others write to is.
//
// In a folder that others write to, only what is this user's own is gone on
// with: records and data that are regular files with one name, belong to the
// effective user, root included, and are writable by no other. What is not is
// passed over, with a warning to [Options].Logger. Where a file system has owners
// or permissions of its own choice, what counts is that they are those of a file
// that is made there.
//
// Resuming a large file takes it over: an earlier handle, in this process or in
// another one that still runs, is refused from then on. While parts are being
// written no other handle can resume it; a lock sees to that, where the system has
// flock, and the file system locks.
//
// # Failures
//
// A full disk, missing permission and the like are plain errors of the call,
// which wrap those of package os. Cancel then removes both files. If the rename
// fails, the folder is looked at, and the outcome is certain unless that fails
// too. If the rename is done and cannot be synced, the error matches
// [sluice.ErrFinishUnknown]: the file is there, but a power cut may undo that.
//
// A call looks at its context before it begins and for every MiB it writes; a
// sync under way cannot be cut short.
package filebackend
