package b2test

// The digests of nothing, which a hide marker shows (recorded; documentation says null).
const (
	emptySHA1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
	emptyMD5  = "d41d8cd98f00b204e9800998ecf8427e"
)

// deleteFileVersion removes one version; of an unfinished large file it is a cancel (documented).
func (x *exchange) deleteFileVersion() (any, error) {
	name, id := x.args.required("fileName"), x.args.required("fileId")
	bypass := x.args.flag("bypassGovernance")
	if err := x.args.done(); err != nil {
		return nil, err
	}
	f, err := x.namedVersion(name, id)
	if err != nil {
		return nil, err
	}
	if bypass && f.mode == "governance" && !x.token.key.may("bypassGovernance") {
		return nil, errUnauthorized()
	}
	if f.retained(x.s.Now()) && !(bypass && f.mode == "governance") || f.legalHold == "on" {
		return nil, errAccessDenied("file is protected by Object Lock")
	}
	x.s.remove(f)
	return object{"fileId": id, "fileName": name}, nil
}

// hideFile puts a marker on top of a name's versions.
func (x *exchange) hideFile() (any, error) {
	bucketID, name := x.args.required("bucketId"), x.args.required("fileName")
	if err := x.args.done(); err != nil {
		return nil, err
	}
	b, err := x.bucketFor(bucketID)
	if err != nil {
		return nil, err
	}
	if err := x.s.checkName(name); err != nil {
		return nil, err
	}
	if !x.token.key.mayName(name) {
		return nil, errUnauthorized()
	}
	switch newest := x.s.newest(b, name); {
	case newest == nil:
		return nil, badCode("no_such_file", "File not present: %s", name)
	case newest.action == actionHide:
		return nil, badCode("already_hidden", "File already hidden: %s", name)
	}
	f := x.s.newFile(b, name, actionHide)
	f.contentType, f.sha1, f.md5 = "application/x-bz-hide-marker", emptySHA1, emptyMD5
	x.s.files[f.id] = f
	return x.fileObject(f), nil
}

// namedVersion finds the version, or the unfinished large file, that a call
// names by both name and ID.
func (x *exchange) namedVersion(name, id string) (*file, error) {
	if !fileIDPattern.MatchString(id) {
		return nil, errInvalidFileID(id)
	}
	f := x.s.files[id]
	if f == nil || f.name != name {
		return nil, badCode("file_not_present", "File not present: %s %s", name, id)
	}
	return f, x.token.key.mayTouch(f)
}
