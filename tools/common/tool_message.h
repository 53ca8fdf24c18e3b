/* The name under which a tool reports; its reporting functions are in tool_options.h. */
#ifndef TTM_TOOLS_COMMON_TOOL_MESSAGE_H
#define TTM_TOOLS_COMMON_TOOL_MESSAGE_H

/** Sets the name that begins every message; not copied. */
void tool_set_name(const char *name);

#endif
