// Package s3server builds and runs a real S3 server for tests: versitygw, a program that is not ours, over a
// folder. Its version is pinned in the module in versitygw/, which no user of this module downloads. It is built
// once, by the go command, and kept in the user's cache folder.
package s3server
