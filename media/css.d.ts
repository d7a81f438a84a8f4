/** Lets the page import its styles; the bundler makes a file of them. Not here: the styles. */
declare module "*.css";
