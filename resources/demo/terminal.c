#include "demo.h"

char terminalText[terminalLines][terminalColumns + 1];
bool terminalChanged = true;
static unsigned column;

static void newLine(void)
{
    for (unsigned i = 0; i + 1 < terminalLines; i++)
        memcpy(terminalText[i], terminalText[i + 1], sizeof terminalText[0]);
    memset(terminalText[terminalLines - 1], 0, sizeof terminalText[0]);
    column = 0;
}

void terminalPut(char c)
{
    char* const line = terminalText[terminalLines - 1];
    terminalChanged = true;
    if (c == '\n') {
        newLine();
    } else if (c == '\b') {
        if (column)
            line[--column] = '\0';
    } else if (c >= ' ') {
        if (column == terminalColumns)
            newLine();
        terminalText[terminalLines - 1][column++] = c;
    }
}
