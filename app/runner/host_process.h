#pragma once

namespace app {

/// For each program that hosts machines, first of all. A limit on the size of files, or a reader of our output that is
/// gone, is an error of the write that meets it, and no reason to end with all machines. And there may be as many open
/// files as the host lets us have: each disk has some dozens, and what is asked for by default is 1024. What we fork
/// (a file manager) begins with the limit that we began with, for it may use select(), which cannot take more; our own
/// helpers, which are spawned, get ours.
void becomeHostProcess();

}
